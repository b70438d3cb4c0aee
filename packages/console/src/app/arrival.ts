/** Owns finding out who is there, after an owner link was presented if there is one. The token is sent once, in a body. */
import { SallyportApiError } from '@sallyport/client'
import { api } from '../api/client.ts'
import { whoamiQuery } from '../api/queries.ts'
import { queryClient } from './query-client.ts'

export type Arrival =
  /** The gateway has said who is there, or that nobody is. */
  | { readonly kind: 'known' }
  /** `retry` is there when it may help: nothing says that a link was used. */
  | { readonly kind: 'refused'; readonly error: unknown; readonly retry?: () => Promise<Arrival> }

/** What the gateway answers to a link that was used, has expired, or was cut on the way here. */
const SPENT: readonly string[] = ['unauthenticated', 'validation_failed']

/** Signs in with a token if there is one, and finds out who is there. Never rejects. A refused link ends no session that was there before. */
export async function arrive(token: string | undefined): Promise<Arrival> {
  const refused = token === undefined ? undefined : await present(token)
  const arrival = await look()
  return refused ?? arrival
}

async function present(token: string): Promise<Arrival | undefined> {
  try {
    await api.call('sessionCreate', { body: { owner_token: token } })
    return undefined
  } catch (error) {
    const spent = error instanceof SallyportApiError && SPENT.includes(error.code)
    return { kind: 'refused', error, ...(spent ? {} : { retry: () => arrive(token) }) }
  }
}

async function look(): Promise<Arrival> {
  try {
    await queryClient.fetchQuery({ ...whoamiQuery, staleTime: 0 })
    return { kind: 'known' }
  } catch (error) {
    return { kind: 'refused', error, retry: look }
  }
}
