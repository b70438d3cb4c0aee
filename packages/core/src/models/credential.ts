/**
 * Owns reading what a customer hands over as a model provider's credential. Refuses what could not go into a call, before it is sealed: a key that
 * would end a header's line, an AWS key pair or a service account's file with parts missing. No text of it is ever repeated in a refusal.
 */
import { z } from 'zod'
import { Secret } from '../kernel/index.ts'
import type { AwsCredentials } from '../keysources/index.ts'
import type { ModelCredential, ModelProvider } from './schema.ts'

/** Visible ASCII alone: it goes into a header, and a space at its end is a slip of the hand that shows nowhere. */
const KEY = /^[!-~]{8,4096}$/u
const part = z.string().regex(/^[!-~]{8,4096}$/u)

const awsKey = z.strictObject({ access_key_id: part, secret_access_key: part, session_token: part.optional() })
/** Of the file that Google gives out: it holds more, which is kept as it is. */
const serviceAccount = z.looseObject({
  type: z.literal('service_account'),
  // Shown to people and written down: nothing that moves a cursor, turns text around, or that the database refuses.
  client_email: z.string().regex(/^[!-?A-~]{1,128}@[!-?A-~]{1,253}$/u),
  private_key: z.string().startsWith('-----BEGIN PRIVATE KEY-----'),
})

const WANTED: Readonly<Record<ModelCredential, string>> = {
  key: 'must be 8 to 4096 visible ASCII characters, without spaces',
  aws: 'must be a JSON object with access_key_id, secret_access_key and, where there is one, session_token',
  google_service_account: "must be the JSON file of a service account's key",
}

/** Why a text is no credential of this kind, in words that hold nothing of it; undefined when it is one. */
export function credentialFault(kind: ModelCredential, text: Secret): string | undefined {
  return nameOf(kind, text) === undefined ? WANTED[kind] : undefined
}

/** Characters at the end of a key that may be shown: of 95^4 or more, and never a quarter of it. */
const SHOWN = 4
const LONG_ENOUGH = 20

/**
 * How people tell one credential from another: `…` with the last four characters of a long key or of an access key's id, or the service account's
 * address. @throws TypeError for what `credentialFault` refuses.
 */
export function maskedCredential(kind: ModelCredential, text: Secret): string {
  const name = nameOf(kind, text)
  if (name === undefined) throw new TypeError('no credential of its kind')
  if (kind === 'google_service_account') return name
  return name.length < LONG_ENOUGH && kind === 'key' ? '…' : `…${name.slice(-SHOWN)}`
}

/** The key itself, or the part of the credential that is no secret; undefined when it is no credential of this kind. */
function nameOf(kind: ModelCredential, text: Secret): string | undefined {
  const plain = text.reveal()
  if (kind === 'key') return KEY.test(plain) ? plain : undefined
  const value = parsed(plain)
  return kind === 'aws' ? awsKey.safeParse(value).data?.access_key_id : serviceAccount.safeParse(value).data?.client_email
}

/** An access key, to sign with. @throws TypeError for a text that is none */
export function readAwsKey(text: Secret): AwsCredentials {
  const key = awsKey.safeParse(parsed(text.reveal())).data
  if (key === undefined) throw new TypeError('no credential of its kind')
  const { access_key_id: accessKeyId, secret_access_key: secret, session_token: session } = key
  return { accessKeyId, secretAccessKey: new Secret(secret), sessionToken: session === undefined ? undefined : new Secret(session) }
}

/** What a service account proves itself with. */
export interface ServiceAccount {
  readonly address: string
  /** PKCS #8, PEM. */
  readonly privateKey: Secret
  /** Names it among the account's keys. */
  readonly keyId: string | undefined
}

/** @throws TypeError for a text that is none */
export function readServiceAccount(text: Secret): ServiceAccount {
  const file = serviceAccount.safeParse(parsed(text.reveal())).data
  if (file === undefined) throw new TypeError('no credential of its kind')
  const keyId = file['private_key_id']
  return { address: file.client_email, privateKey: new Secret(file.private_key), keyId: typeof keyId === 'string' ? keyId : undefined }
}

/** Of Google Cloud: its id, and not one that a domain stands before. */
const PROJECT = /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/u

/** The optional settings of a key that its credential says itself, none of them secret: the project that a service account is of. */
export function settingsWithin({ credential, optionalSettings }: SettingsOf, text: Secret): Readonly<Record<string, string>> {
  if (credential !== 'google_service_account' || !Object.hasOwn(optionalSettings, 'project')) return {}
  const project = serviceAccount.safeParse(parsed(text.reveal())).data?.['project_id']
  return typeof project === 'string' && PROJECT.test(project) ? { project } : {}
}

type SettingsOf = Pick<ModelProvider, 'credential' | 'optionalSettings'>

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message would quote the text.
    return undefined
  }
}
