/** The whole console: who is there decides between the sign-in screen and the rest, whatever the address says. */
import { useQuery } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { use, useEffect, useState } from 'react'
import { whoamiQuery } from '../api/queries.ts'
import { SignIn } from '../features/sign-in/sign-in.tsx'
import { arrive } from './arrival.ts'
import type { Arrival } from './arrival.ts'
import { takeOwnerToken } from './owner-token.ts'
import { forgetSession } from './query-client.ts'
import { router } from './router.tsx'

export function Console({ arrival: first }: { readonly arrival: Promise<Arrival> }) {
  const [arrival, setArrival] = useState(first)
  useEffect(() => {
    // A link pasted over the console's own address changes the fragment and loads nothing.
    const onHashChange = (): void => {
      const token = takeOwnerToken(window.location, window.history)
      if (token !== undefined) setArrival(arrive(token))
    }
    window.addEventListener('hashchange', onHashChange)
    return () => window.removeEventListener('hashchange', onHashChange)
  }, [])
  const arrived = use(arrival)
  const { data: person } = useQuery(whoamiQuery)
  useEffect(() => {
    if (person === null) forgetSession()
  }, [person])
  return person ? <RouterProvider router={router} /> : <SignIn arrival={arrived} onRetry={setArrival} />
}
