/**
 * Owns GitHub's webhooks as far as they are about grants (https://docs.github.com/en/webhooks/webhook-events-and-payloads). Refuses the older SHA-1
 * signature, and to read anything before the signature over the raw bytes was found right.
 */
import type { Secret } from '@sallyport/core'
import { refusedEvent } from './errors.ts'
import { note } from './notice.ts'
import type { Notice, Received } from './notice.ts'
import { isSignedBy } from './signature.ts'

/** Headers by their lower-case names. */
export type Headers = Readonly<Record<string, string | undefined>>

const DELIVERY = /^[\w-]{1,128}$/u

/** @throws EventError */
export function receiveGithub(secret: Secret, headers: Headers, body: Buffer, parse: (body: Buffer) => unknown): Received {
  if (!isSignedBy(secret, [body], headers['x-hub-signature-256'], 'sha256='))
    throw refusedEvent('The signature is missing or wrong.', 'authentication_failed')
  const [id, event] = [headers['x-github-delivery'] ?? '', headers['x-github-event'] ?? '']
  if (!DELIVERY.test(id)) throw refusedEvent('The delivery has no id.')
  return { id, notices: event === 'github_app_authorization' ? [authorization(parse(body))] : [] }
}

/** The sender is the person who took the authorization back. */
function authorization(payload: unknown): Notice {
  const { action, sender } = (payload ?? {}) as { readonly action?: unknown; readonly sender?: { readonly id?: unknown } | null }
  if (action !== 'revoked') return note('github_app_authorization')
  const id = sender?.id
  const subject = Number.isSafeInteger(id) ? { accounts: [String(id)] } : undefined
  return { event: 'github_app_authorization', effect: 'end', tellProvider: false, subject, at: null }
}
