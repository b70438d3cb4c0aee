/**
 * Owns how a model provider's credential of each kind goes into one request: a key into its header, an access key by signing, a service account by an access
 * token bought for it. Refuses a text that is no credential of its provider's kind.
 */
import type { Injection } from '../http/index.ts'
import { Secret } from '../kernel/index.ts'
import type { ModelProvider } from './schema.ts'

/** What goes into the request last, and what its answer must not show. */
export interface ModelAuthorization {
  readonly inject: readonly Injection[]
  readonly mask: readonly Secret[]
}

/** A key as the provider's record places it. @throws TypeError for a provider whose credential is none */
export function placeKey(provider: Pick<ModelProvider, 'injection'>, key: Secret): ModelAuthorization {
  const { injection } = provider
  if (injection === undefined) throw new TypeError('a provider without a place for keys')
  const value = new Secret(injection.template.replace('{token}', () => key.reveal()))
  return { inject: [{ kind: 'header', name: injection.name, value }], mask: [key] }
}
