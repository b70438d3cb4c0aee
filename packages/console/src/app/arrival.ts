/**
 * Owns coming in by a one-time owner link, `/console/#owner=<token>`. The token travels in the fragment, which no server log and no Referer
 * sees; it is taken out of the address bar and the history before anything else runs, and is sent once, in a body.
 */
import { SallyportApiError } from '@sallyport/client'
import { api } from '../api/client.ts'

export type Arrival =
  | { readonly kind: 'plain' }
  | { readonly kind: 'entered' }
  /** `retry` is there when the link may still be good: nothing says that it was used. */
  | { readonly kind: 'refused'; readonly error: unknown; readonly retry?: () => Promise<Arrival> }

/** The token of the address, once: afterwards the address is clean. */
export function takeOwnerToken(location: Location, history: History): string | undefined {
  const token = new URLSearchParams(location.hash.slice(1)).get('owner')
  if (token === null) return undefined
  history.replaceState(null, '', location.pathname + location.search)
  return token
}

/** Never rejects. */
export async function arrive(token: string | undefined): Promise<Arrival> {
  if (token === undefined) return { kind: 'plain' }
  try {
    await api.call('sessionCreate', { body: { owner_token: token } })
    return { kind: 'entered' }
  } catch (error) {
    const final = error instanceof SallyportApiError && error.status < 500
    return { kind: 'refused', error, ...(final ? {} : { retry: () => arrive(token) }) }
  }
}
