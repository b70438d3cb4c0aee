/** The whole console: who is there decides between the sign-in screen and the rest, whatever the address says. */
import { useQuery } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { use, useState } from 'react'
import { whoamiQuery } from '../api/queries.ts'
import { SignIn } from '../features/sign-in/sign-in.tsx'
import { Button } from '../ui/button.tsx'
import { FailureNotice } from '../ui/notice.tsx'
import { Loading } from '../ui/page.tsx'
import type { Arrival } from './arrival.ts'
import { router } from './router.tsx'

export function Console({ arrival: first }: { readonly arrival: Promise<Arrival> }) {
  const [arrival, setArrival] = useState(first)
  const arrived = use(arrival)
  const { data: person, error, isPending, refetch } = useQuery(whoamiQuery)
  if (isPending) return <Loading />
  if (person === undefined) return <Unreachable error={error} onRetry={() => void refetch()} />
  if (person !== null) return <RouterProvider router={router} />
  return <SignIn arrival={arrived} onRetry={setArrival} />
}

function Unreachable({ error, onRetry }: { readonly error: unknown; readonly onRetry: () => void }) {
  return (
    <main className="mx-auto mt-[20vh] max-w-md px-4">
      <h1 className="mb-4 text-xl font-semibold">The console can’t go on</h1>
      <FailureNotice error={error} />
      <Button look="primary" onClick={onRetry}>
        Try again
      </Button>
    </main>
  )
}
