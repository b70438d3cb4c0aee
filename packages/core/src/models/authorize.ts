/**
 * Owns how a model provider's credential of each kind goes into one request: a key into its header, an access key by signing (Signature Version 4), a service account
 * by an access token that was bought for it. Refuses a text that is no credential of its provider's kind.
 */
import type { ApiBase, Injection } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import { signAws } from '../keysources/index.ts'
import { readAwsKey } from './credential.ts'
import type { ModelProvider } from './schema.ts'
import type { AccessTokens, TokenWanted } from './service-account.ts'

/** What goes into the request last, and what its answer must not show. */
export interface ModelAuthorization {
  /** Flat; what may stay of the caller's, with what is no secret of ours. */
  readonly headers: readonly string[]
  readonly inject: readonly Injection[]
  readonly mask: readonly Secret[]
}

/** A request as it is about to go out. */
export interface OutgoingModelCall {
  readonly provider: ModelProvider
  /** Of the key. */
  readonly settings: Readonly<Record<string, string>>
  readonly base: ApiBase
  readonly method: string
  /** Below the base, query included. */
  readonly path: string
  readonly headers: readonly string[]
  /** The whole body, of providers whose requests are signed; see `needsWholeBody`. */
  readonly body: Uint8Array | undefined
  /** Wall time in milliseconds. */
  readonly now: number
  /** The organization. */
  readonly owner: string
  /** The credential is a caller's own, for this call. */
  readonly once: boolean
}

/** Whether a request to this provider can only be made with its whole body at hand: AWS signs it, and takes no unsigned one but for S3. */
export function needsWholeBody({ credential }: Pick<ModelProvider, 'credential'>): boolean {
  return credential === 'aws'
}

/**
 * At once, but where a token must be bought.
 * @throws ModelKeyError, EgressError where a token must be bought; TypeError for a credential of another kind
 */
export function authorizeModelCall(
  call: OutgoingModelCall,
  credential: Secret,
  tokens: AccessTokens,
): ModelAuthorization | Promise<ModelAuthorization> {
  const { provider, owner, once } = call
  if (provider.credential === 'aws') return signed(call, credential)
  if (provider.credential === 'key') return carried(call, credential)
  return tokens.of({ owner, provider, credential, once } satisfies TokenWanted).then((token) => carried(call, token))
}

function carried({ provider, headers }: OutgoingModelCall, key: Secret): ModelAuthorization {
  return { headers, inject: [placed(provider, key)], mask: [key] }
}

/** As the provider's record places a key; access tokens are bearer tokens (RFC 6750 section 2.1). */
function placed({ injection }: ModelProvider, key: Secret): Injection {
  const { name, template } = injection ?? { name: 'authorization', template: 'Bearer {token}' }
  return { kind: 'header', name, value: new Secret(template.replace('{token}', () => key.reveal())) }
}

const SERVICE = 'bedrock'
/** Every header of this family is part of a signature, and none but our own is. */
const AMZ = 'x-amz-'

function signed({ settings, base, method, path, headers, body, now }: OutgoingModelCall, credential: Secret): ModelAuthorization {
  const aws = readAwsKey(credential)
  const kept = headers.filter((_text, at) => !headers[at - (at % 2)]!.toLowerCase().startsWith(AMZ))
  const type = kept.find((_text, at) => at % 2 === 1 && kept[at - 1]!.toLowerCase() === 'content-type')
  const of = {
    service: SERVICE,
    region: settings['region'] ?? '',
    host: new URL(base.origin).host,
    method,
    target: base.basePath + path,
    headers: type === undefined ? {} : { 'content-type': type },
    body: body ?? '',
    at: now,
  }
  const made = signAws(of, aws)
  const secrets = ['authorization', 'x-amz-security-token'].filter((name) => made[name] !== undefined)
  return {
    headers: [...kept, 'x-amz-date', made['x-amz-date']!],
    inject: secrets.map((name) => ({ kind: 'header', name, value: new Secret(made[name]!) })),
    mask: aws.sessionToken === undefined ? [aws.secretAccessKey] : [aws.secretAccessKey, aws.sessionToken],
  }
}
