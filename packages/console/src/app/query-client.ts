/** Owns what happens to every answer of the API: a refusal for want of a session ends the session here too. Refuses to retry changes. */
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { SallyportApiError } from '@sallyport/client'
import { isSignedOut, whoamiQuery } from '../api/queries.ts'

const RETRIES = 2

export const queryClient: QueryClient = new QueryClient({
  queryCache: new QueryCache({ onError: leaveWhenSignedOut }),
  mutationCache: new MutationCache({ onError: leaveWhenSignedOut }),
  defaultOptions: {
    queries: { retry: (failures, error) => failures < RETRIES && isWorthRetrying(error) },
    mutations: { retry: false },
  },
})

/** Says that nobody is signed in any more; the sign-in screen follows from it. */
export function endSession(): void {
  queryClient.setQueryData(whoamiQuery.queryKey, null)
}

/** Forgets everything that the session was allowed to see. Only once no screen shows it: a screen would ask for it again. */
export function forgetSession(): void {
  queryClient.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== whoamiQuery.queryKey[0] })
  queryClient.getMutationCache().clear()
}

function leaveWhenSignedOut(error: unknown): void {
  if (isSignedOut(error)) endSession()
}

/** What the gateway refused it would refuse again. */
function isWorthRetrying(error: unknown): boolean {
  return !(error instanceof SallyportApiError) || error.status >= 500
}
