import { describe, expect, it } from 'vitest'
import { generateKeyBytes } from '@sallyport/core'
import { ConfigError, describeConfig, loadConfig } from '../config.ts'
import type { Config } from '../config.ts'

const KMS = 'arn:aws:kms:eu-central-1:111122223333:key/00000000-0000-0000-0000-000000000000'
const SECRET = 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:sallyport/root-keys-AbCdEf'
const AWS = { AWS_ACCESS_KEY_ID: 'NOTREAL', AWS_SECRET_ACCESS_KEY: 'not-a-secret' }
const HSM = { PKCS11_MODULE: '/usr/lib/softhsm/libsofthsm2.so', PKCS11_TOKEN_LABEL: 'a token', PKCS11_PIN: 'not-a-pin' }
const VAULT = { VAULT_ADDRESS: 'https://vault.internal:8200', VAULT_TOKEN: 'not-a-token' }

const PKCS11_NEEDS = ['keys.pkcs11Keys', 'keys.pkcs11Module', 'keys.pkcs11Pin', 'keys.pkcs11TokenLabel']

type Env = Record<string, string>

const load = (keys: Env, over: Env = {}): Config => {
  const env: Env = {
    SALLYPORT_MODE: 'production',
    SALLYPORT_PUBLIC_URL: 'https://gateway.example.com',
    SALLYPORT_TRUSTED_PROXIES: '10.0.0.0/8',
    ...over,
  }
  for (const [name, value] of Object.entries(keys)) env[`SALLYPORT_KEYS_${name}`] = value
  return loadConfig({ env, readFile: missing })
}

function missing(): never {
  throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
}

const faults = (keys: Env, over: Env = {}): string[] => {
  try {
    load(keys, over)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.map(({ setting }) => setting)
    throw error
  }
  return []
}

const given = (): Env => ({ SALLYPORT_ENCRYPTION_KEYS: `k1:${generateKeyBytes().toString('hex')}` })

describe('where root keys come from', () => {
  it.each<[string, Env]>([
    ['a mounted folder', { SOURCE: 'folder:/run/secrets/sallyport' }],
    ['AWS Secrets Manager', { SOURCE: 'aws-secrets-manager', AWS_SECRET: SECRET, ...AWS }],
    ['the KV engine', { SOURCE: 'vault-kv', VAULT_KV_PATH: 'sallyport/root', ...VAULT }],
    [
      'the KV engine, by AppRole',
      { SOURCE: 'vault-kv', VAULT_KV_PATH: 'x', VAULT_ADDRESS: 'https://vault', VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's' },
    ],
    ['AWS KMS, which needs none in the configuration', { WRAPPER: 'aws-kms', AWS_KMS_KEYS: KMS, ...AWS }],
    ['the transit engine', { WRAPPER: 'vault-transit', VAULT_TRANSIT_KEYS: 'sallyport,sallyport-2025', ...VAULT }],
    ['a device', { WRAPPER: 'pkcs11', PKCS11_KEYS: 'sallyport-2026,id:c0ffee', ...HSM }],
    [
      'a device, by its serial number',
      { WRAPPER: 'pkcs11', PKCS11_KEYS: 'x', PKCS11_MODULE: '/m.so', PKCS11_TOKEN_SERIAL: '0a1b', PKCS11_PIN: 'x' },
    ],
  ])('can be %s, in production, without any in the configuration', (_name, keys) => {
    expect(faults(keys)).toEqual([])
  })

  it('C-01 is never nowhere in production', () => {
    expect(faults({})).toEqual(['encryptionKeys'])
    expect(faults({ AWS_KMS_KEYS: KMS, ...AWS })).toEqual(['encryptionKeys'])
  })

  it('is one place: keys in the configuration beside another source are refused, beside another wrapper they unwrap', () => {
    expect(faults({ SOURCE: 'folder:/x' }, given())).toEqual(['encryptionKeys'])
    expect(faults({ WRAPPER: 'aws-kms', AWS_KMS_KEYS: KMS, ...AWS }, given())).toEqual([])
  })

  it.each<[string, Env, string[]]>([
    ['a source of no kind', { SOURCE: 'file:/x' }, ['keys.source']],
    ['a folder without a path', { SOURCE: 'folder:' }, ['keys.source']],
    [
      'AWS without who asks and for what',
      { SOURCE: 'aws-secrets-manager' },
      ['keys.awsSecret', 'keys.awsAccessKeyId', 'keys.awsSecretAccessKey'],
    ],
    ['an alias', { WRAPPER: 'aws-kms', ...AWS, AWS_KMS_KEYS: KMS.replace(/key\/.*/, 'alias/root') }, ['keys.awsKmsKeys[0]']],
    ['KMS without a key', { WRAPPER: 'aws-kms' }, ['keys.awsKmsKeys', 'keys.awsAccessKeyId', 'keys.awsSecretAccessKey']],
    ['Vault without an address', { SOURCE: 'vault-kv', VAULT_KV_PATH: 'x', VAULT_TOKEN: 't' }, ['keys.vaultAddress']],
    [
      'half an AppRole',
      { SOURCE: 'vault-kv', VAULT_KV_PATH: 'x', VAULT_ADDRESS: 'https://v.example', VAULT_ROLE_ID: 'r' },
      ['keys.vaultToken'],
    ],
    [
      'two ways to ask',
      { SOURCE: 'vault-kv', VAULT_KV_PATH: 'x', ...VAULT, VAULT_ROLE_ID: 'r', VAULT_SECRET_ID: 's' },
      ['keys.vaultToken'],
    ],
    ['a path that leads elsewhere', { SOURCE: 'vault-kv', VAULT_KV_PATH: '../sys/seal', ...VAULT }, ['keys.vaultKvPath']],
    ['a transit key that is a path', { WRAPPER: 'vault-transit', VAULT_TRANSIT_KEYS: 'a/b', ...VAULT }, ['keys.vaultTransitKeys[0]']],
    ['a module that is named relatively', { WRAPPER: 'pkcs11', PKCS11_KEYS: 'x', ...HSM, PKCS11_MODULE: 'm.so' }, ['keys.pkcs11Module']],
    ['an empty PIN', { WRAPPER: 'pkcs11', PKCS11_KEYS: 'x', ...HSM, PKCS11_PIN: '' }, ['keys.pkcs11Pin']],
    ['a device without its module, PIN, token and key', { WRAPPER: 'pkcs11' }, PKCS11_NEEDS],
    ['a token that is named twice', { PKCS11_KEYS: 'x', ...HSM, PKCS11_TOKEN_SERIAL: 'b' }, ['keys.pkcs11TokenLabel']],
    ['a label that no token has', { PKCS11_KEYS: 'x', ...HSM, PKCS11_TOKEN_LABEL: 'é'.repeat(17) }, ['keys.pkcs11TokenLabel']],
    ["a device's key by a name of no kind", { PKCS11_KEYS: 'id:xyz,a b', ...HSM }, ['keys.pkcs11Keys[0]', 'keys.pkcs11Keys[1]']],
    [
      'addresses without TLS, in production',
      { WRAPPER: 'aws-kms', AWS_KMS_KEYS: KMS, ...AWS, AWS_KMS_ENDPOINT: 'http://127.0.0.1:9', VAULT_ADDRESS: 'http://127.0.0.1:8200' },
      ['keys.awsKmsEndpoint', 'keys.vaultAddress'],
    ],
  ])('C-01 refuses %s', (_name, keys, settings) => {
    const source = keys['SOURCE'] === undefined || keys['SOURCE'] === 'file:/x' || keys['SOURCE'] === 'folder:' ? given() : {}
    expect(faults(keys, source)).toEqual(settings)
  })

  it('X-03 takes addresses without TLS on this machine alone, in development', () => {
    const kms = { WRAPPER: 'aws-kms', AWS_KMS_KEYS: KMS, ...AWS }
    expect(faults({ ...kms, AWS_KMS_ENDPOINT: 'http://127.0.0.1:9' }, { SALLYPORT_MODE: 'development' })).toEqual([])
    expect(faults({ ...kms, AWS_KMS_ENDPOINT: 'http://10.0.0.1:9' }, { SALLYPORT_MODE: 'development' })).toEqual(['keys.awsKmsEndpoint'])
  })

  it('is described without what proves who asks', () => {
    const described = JSON.stringify(
      describeConfig(load({ SOURCE: 'vault-kv', VAULT_KV_PATH: 'x', ...VAULT, ...AWS, ...HSM, AWS_SESSION_TOKEN: 'not-a-session' })),
    )
    for (const secret of ['not-a-secret', 'not-a-token', 'not-a-session', 'not-a-pin']) expect(described).not.toContain(secret)
    expect(described).toContain('https://vault.internal:8200')
  })
})
