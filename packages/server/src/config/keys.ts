/**
 * Owns the settings of where root keys come from and who wraps with them, and what must be true between those. Refuses half a source: whatever
 * is named is reachable and has what it needs to prove who asks.
 */
import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { isPkcs11KeyName, parseKmsKeyArn, parseSecretArn } from '@sallyport/core'
import type { ConfigFault } from './config-error.ts'
import { isLoopback, originFault } from './network-text.ts'
import { integer, list, oneOf, secret, setting, textWithout } from './setting.ts'

const text = { kind: 'text' } as const
const wrapper = oneOf(['local', 'aws-kms', 'vault-transit', 'pkcs11'])
const SOURCE = /^(?:config|folder:[^\0]+|aws-secrets-manager|vault-kv)$/
const PATH = /^[\w-]+(?:[./][\w-]+)*$/
const NAME = /^[0-9A-Za-z][0-9A-Za-z._-]{0,49}$/

const path = (value: string): string | undefined => (PATH.test(value) ? undefined : 'must be a path of letters, digits, "_", "-" and "."')
const optional = (fault: (value: string) => string | undefined, expects: string, about: string) =>
  setting(textWithout(fault).optional(), { ...text, expects, otherwise: 'not set', about })
const textOf = (most: number) => (value: string) =>
  Buffer.byteLength(value) <= most && value === value.trim() && !/\p{Cc}/u.test(value)
    ? undefined
    : `must be a text of at most ${most} bytes`
const anything = (): undefined => undefined
const noFaults = (): readonly string[] => []

export const keys = z.strictObject({
  rotateAfterDays: integer(
    { min: 0, max: 3650, by: 90 },
    'Age at which the data key of an organization is replaced by itself; 0: never. Keys over 90 days are told of either way.',
  ),
  source: setting(
    textWithout((value) => (SOURCE.test(value) ? undefined : 'must be config, folder:<path>, aws-secrets-manager or vault-kv')).default(
      'config',
    ),
    {
      ...text,
      expects: 'config, folder:<path>, aws-secrets-manager or vault-kv',
      about:
        'Where root keys are read: `encryptionKeys`, the file `root-keys` of a mounted folder, one secret of AWS Secrets Manager, or one path of the KV engine (version 2) of HashiCorp Vault or OpenBao. Their text is that of `encryptionKeys` everywhere.',
    },
  ),
  reloadMs: integer(
    { min: 1_000, max: 86_400_000, by: 60_000 },
    'Pause between two readings of a `keys.source` other than `config`. Changed root keys are proven and taken without a restart; those that are refused change nothing.',
  ),
  wrapper: setting(wrapper.schema.default('local'), {
    ...text,
    expects: wrapper.expects,
    about:
      'Who wraps new data keys: the first root key of `keys.source`, the first of `keys.awsKmsKeys`, of `keys.vaultTransitKeys`, or of `keys.pkcs11Keys`. All others that are configured unwrap what they wrapped before.',
  }),
  awsAccessKeyId: optional(anything, 'an access key id', 'Who asks AWS for keys.'),
  awsSecretAccessKey: secret('The secret of `keys.awsAccessKeyId`.', noFaults),
  awsSessionToken: secret('The session token, where the two above are temporary.', noFaults),
  awsSecret: optional(
    (value) => (parseSecretArn(value) === undefined ? 'must be the whole ARN of a secret' : undefined),
    'the whole ARN of a secret',
    'The secret that `keys.source: aws-secrets-manager` reads. Its text is the root keys.',
  ),
  awsSecretsManagerEndpoint: optional(
    originFault,
    'an origin',
    "Instead of the region's public one, and the only origin of Secrets Manager that may then be internal.",
  ),
  awsKmsKeys: list(
    (value) => (parseKmsKeyArn(value) === undefined ? 'must be the whole ARN of a KMS key, no alias' : undefined),
    'whole ARNs of KMS keys',
    'Symmetric keys of AWS KMS that wrap or unwrap data keys, named by their whole ARNs: an alias could be turned to another key.',
  ),
  awsKmsEndpoint: optional(
    originFault,
    'an origin',
    "Instead of the region's public one, and the only origin of KMS that may then be internal.",
  ),
  vaultAddress: optional(
    originFault,
    'an origin',
    'HashiCorp Vault or OpenBao. It may be internal: calls for keys, and nothing else, may then reach exactly this origin. Name the active node or what forwards to it; redirects are not followed.',
  ),
  vaultCaCertificates: secret('PEM certificates that `keys.vaultAddress` is proven by, instead of the public ones.', noFaults),
  vaultNamespace: optional(path, 'a path', 'The namespace of what is named below.'),
  vaultToken: secret('Who asks Vault for keys: a token, or an AppRole by the two settings below.', noFaults),
  vaultRoleId: optional(anything, 'a role id', 'The AppRole that asks Vault for keys.'),
  vaultSecretId: secret('The secret id of `keys.vaultRoleId`.', noFaults),
  vaultKvMount: setting(textWithout(path).default('secret'), { ...text, expects: 'a path', about: 'Where the KV engine is mounted.' }),
  vaultKvPath: optional(path, 'a path', 'The path that `keys.source: vault-kv` reads. Its field `root-keys` is the root keys.'),
  vaultTransitMount: setting(textWithout(path).default('transit'), {
    ...text,
    expects: 'a path',
    about: 'Where the transit engine is mounted.',
  }),
  vaultTransitKeys: list(
    (value) => (NAME.test(value) ? undefined : 'must be names of transit keys'),
    'names of transit keys',
    'Keys of the transit engine that wrap or unwrap data keys, of the type `aes256-gcm96` or `chacha20-poly1305`.',
  ),
  pkcs11Module: optional(
    (value) => (isAbsolute(value) ? undefined : 'must be an absolute path'),
    'an absolute path',
    "The shared library by which a device (HSM) is called. It runs in a process of its own, which is given this process's environment without what is named `SALLYPORT_*`. A file that every user of the machine could write is refused.",
  ),
  pkcs11TokenLabel: optional(textOf(32), 'a text of at most 32 bytes', 'The label of the token that holds the keys.'),
  pkcs11TokenSerial: optional(textOf(16), 'a text of at most 16 bytes', 'Its serial number, instead of its label.'),
  pkcs11Pin: secret(
    "The PIN of the token's user. A wrong one is tried once at each start, and not at all when the token says that it would be the last try.",
    noFaults,
  ),
  pkcs11Keys: list(
    (value) => (isPkcs11KeyName(value) ? undefined : 'must be labels of keys, or "id:" and an id in hex'),
    'labels of keys, or ids as `id:<hex>`',
    'AES-256 keys of the token that wrap or unwrap data keys, by their labels (letters, digits, ".", "_", "-"), or by their ids as `id:<hex>`. One that the token would give out is refused.',
  ),
})

/** Settings that passed their own check; what was refused is missing. */
type JudgedKeys = Partial<z.output<typeof keys>>

interface Surroundings {
  readonly mode: 'development' | 'production' | undefined
  readonly hasEncryptionKeys: boolean
  readonly refused: ReadonlySet<string>
}

export function keysFaults(judged: JudgedKeys, around: Surroundings): ConfigFault[] {
  const { source, wrapper: by, awsKmsKeys = [], vaultTransitKeys = [], pkcs11Keys = [] } = judged
  const fault = (name: string, reason: string): ConfigFault[] => [{ setting: name, reason }]
  const needs = (wanted: boolean, name: keyof JudgedKeys, why: string): ConfigFault[] =>
    wanted && isAbsent(judged[name]) && !isRefused(around.refused, name) ? fault(`keys.${name}`, `is required by ${why}`) : []
  const usesAws = source === 'aws-secrets-manager' || by === 'aws-kms' || awsKmsKeys.length > 0
  const usesVault = source === 'vault-kv' || by === 'vault-transit' || vaultTransitKeys.length > 0
  const usesPkcs11 = by === 'pkcs11' || pkcs11Keys.length > 0
  return [
    ...(source !== undefined && source !== 'config' && around.hasEncryptionKeys
      ? fault('encryptionKeys', 'is not read when keys.source is another: put those root keys there and remove it')
      : []),
    ...needs(source === 'aws-secrets-manager', 'awsSecret', 'keys.source'),
    ...needs(source === 'vault-kv', 'vaultKvPath', 'keys.source'),
    ...needs(by === 'aws-kms', 'awsKmsKeys', 'keys.wrapper'),
    ...needs(by === 'vault-transit', 'vaultTransitKeys', 'keys.wrapper'),
    ...needs(by === 'pkcs11', 'pkcs11Keys', 'keys.wrapper'),
    ...needs(usesAws, 'awsAccessKeyId', 'the use of AWS'),
    ...needs(usesAws, 'awsSecretAccessKey', 'the use of AWS'),
    ...needs(usesVault, 'vaultAddress', 'the use of Vault'),
    ...(usesVault ? vaultAuthFaults(judged, around) : []),
    ...needs(usesPkcs11, 'pkcs11Module', 'the use of PKCS#11'),
    ...needs(usesPkcs11, 'pkcs11Pin', 'the use of PKCS#11'),
    ...(usesPkcs11 ? pkcs11TokenFaults(judged, around) : []),
    ...(['awsSecretsManagerEndpoint', 'awsKmsEndpoint', 'vaultAddress'] as const).flatMap((name) => {
      const reason = addressFault(judged[name], around.mode)
      return reason === undefined ? [] : fault(`keys.${name}`, reason)
    }),
  ]
}

function vaultAuthFaults({ vaultToken, vaultRoleId, vaultSecretId }: JudgedKeys, { refused }: Surroundings): ConfigFault[] {
  if (['vaultToken', 'vaultRoleId', 'vaultSecretId'].some((name) => isRefused(refused, name))) return []
  const role = [vaultRoleId, vaultSecretId].filter((part) => part !== undefined).length
  if (vaultToken === undefined ? role === 2 : role === 0) return []
  return [{ setting: 'keys.vaultToken', reason: 'or both of keys.vaultRoleId and keys.vaultSecretId must be given, and not all three' }]
}

function pkcs11TokenFaults({ pkcs11TokenLabel, pkcs11TokenSerial }: JudgedKeys, { refused }: Surroundings): ConfigFault[] {
  if (['pkcs11TokenLabel', 'pkcs11TokenSerial'].some((name) => isRefused(refused, name))) return []
  if ((pkcs11TokenLabel === undefined) !== (pkcs11TokenSerial === undefined)) return []
  return [{ setting: 'keys.pkcs11TokenLabel', reason: 'or keys.pkcs11TokenSerial must be given, and not both' }]
}

function addressFault(origin: string | undefined, mode: Surroundings['mode']): string | undefined {
  if (origin === undefined || !origin.startsWith('http:')) return undefined
  if (mode === 'production') return 'must be https in production'
  return isLoopback(URL.parse(origin)?.hostname ?? '') ? undefined : 'must be https, or a loopback origin'
}

/** Also where one entry of a list was. */
function isRefused(refused: ReadonlySet<string>, name: string): boolean {
  return [...refused].some((setting) => setting === `keys.${name}` || setting.startsWith(`keys.${name}[`))
}

function isAbsent(value: unknown): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0)
}
