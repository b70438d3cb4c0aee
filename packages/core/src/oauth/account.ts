/** Owns the question whose account a fresh token opens. Refuses to connect an account it can't name. */
import { SallyportError } from '../kernel/index.ts'
import type { Secret } from '../kernel/index.ts'
import { provingFetch } from './dpop.ts'
import type { DpopSender } from './dpop.ts'
import { oauthFailure } from './errors.ts'
import { OUTBOUND_LIMITS } from './server.ts'
import type { OutboundFetch, UserinfoEndpoint } from './server.ts'

/** Whose account tokens open. */
export interface ProviderAccount {
  /** Stable and unique at the provider, 1 to 255 characters. */
  readonly id: string
  /** What a person recognises, at most 255 characters, without controls of text direction; null when the provider gave none. */
  readonly label: string | null
}

/** Text that can stand in a page, a log line and a database column as it is, and reads there as what it is. */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is refused
const PRINTABLE = /^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]{1,255}$/u

/** The controls of the bidirectional algorithm (UAX #9): an account's label could make what stands beside it read in another order. */
const DIRECTION = /[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/**
 * Asks the provider with the token itself, and with a proof when the token is bound (`dpop`). Null: `fetch` knows how to speak for the account.
 * @throws OAuthError `connect_exchange_failed`; nothing of the answer is in it.
 */
export async function fetchAccount(
  endpoint: UserinfoEndpoint,
  accessToken: Secret | null,
  fetch: OutboundFetch,
  dpop?: DpopSender,
): Promise<ProviderAccount> {
  const body = await readObject(endpoint, accessToken, fetch, dpop)
  const id = at(body, endpoint.idPath)
  const label = plainLabel(at(body, endpoint.labelPath))
  const accountId = Number.isSafeInteger(id) ? String(id) : id
  if (typeof accountId !== 'string' || !PRINTABLE.test(accountId)) throw failed('the account has no usable id')
  return { id: accountId, label }
}

/** People's names may come with marks of direction: those go. With anything else that is not printable the account has no label. */
function plainLabel(said: unknown): string | null {
  const label = typeof said === 'string' ? said.replaceAll(DIRECTION, '') : ''
  return PRINTABLE.test(label) ? label : null
}

async function readObject(
  endpoint: UserinfoEndpoint,
  accessToken: Secret | null,
  plain: OutboundFetch,
  dpop?: DpopSender,
): Promise<unknown> {
  const scheme = dpop === undefined ? 'Bearer' : 'DPoP'
  const authorization = accessToken === null ? {} : { authorization: `${scheme} ${accessToken.reveal()}` }
  const headers = { accept: 'application/json', ...endpoint.headers, ...authorization }
  try {
    const fetch = dpop === undefined ? plain : provingFetch(plain, dpop, accessToken ?? undefined)
    const response = await fetch(endpoint.url, { method: endpoint.method, headers, ...OUTBOUND_LIMITS })
    const text = await response.text()
    if (response.status !== 200) throw failed(`the account look-up was answered with status ${response.status}`)
    return JSON.parse(text)
  } catch (error) {
    if (error instanceof SyntaxError) throw failed('the account look-up was not answered with JSON')
    if (error instanceof SallyportError && error.code !== 'connect_exchange_failed')
      throw failed(`the account look-up failed: ${error.code}`, error)
    throw error
  }
}

function at(body: unknown, path: readonly string[]): unknown {
  let value = body
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

function failed(message: string, cause?: unknown): ReturnType<typeof oauthFailure> {
  return oauthFailure('connect_exchange_failed', message, { cause })
}
