/** What a person sees who is not signed in: the one way in, and what to do when it did not work. */
import { useEffect } from 'react'
import type { Arrival } from '../../app/arrival.ts'
import { Button } from '../../ui/button.tsx'
import { Mark } from '../../ui/icons.tsx'
import { FailureNotice } from '../../ui/notice.tsx'
import { Card } from '../../ui/page.tsx'

interface SignInProps {
  readonly arrival: Arrival
  readonly onRetry: (arrival: Promise<Arrival>) => void
}

export function SignIn({ arrival, onRetry }: SignInProps) {
  useEffect(() => {
    document.title = 'Sign in - Sallyport'
  }, [])
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center px-4 py-10">
      <Card className="px-7 py-8">
        <Mark size={40} />
        {arrival.kind === 'refused' ? <Refused arrival={arrival} onRetry={onRetry} /> : <Invitation />}
      </Card>
      <p className="mt-4 px-2 text-center text-sm text-dim">Calls go out. Keys stay in.</p>
    </main>
  )
}

function Invitation() {
  return (
    <>
      <h1 className="mt-5 text-xl font-semibold tracking-tight">Sign in</h1>
      <p className="mt-3">Open the owner link that the gateway printed when it started. It signs you in once, in this browser.</p>
      <FreshLink />
    </>
  )
}

function Refused({
  arrival,
  onRetry,
}: {
  readonly arrival: Extract<Arrival, { kind: 'refused' }>
  readonly onRetry: SignInProps['onRetry']
}) {
  const { error, retry } = arrival
  return (
    <>
      <h1 className="mt-5 mb-3 text-xl font-semibold tracking-tight">
        {retry === undefined ? 'This link no longer works' : 'You are not signed in yet'}
      </h1>
      {retry === undefined && (
        <p className="mb-4">An owner link works once and for a short time. This one was used already, or its time is over.</p>
      )}
      <FailureNotice error={error} />
      {retry === undefined ? (
        <FreshLink />
      ) : (
        <Button look="primary" onClick={() => onRetry(retry())}>
          Try again
        </Button>
      )}
    </>
  )
}

function FreshLink() {
  return (
    <p className="mt-3 text-dim">
      No link at hand? Every start prints a new one: stop the gateway with Ctrl-C, run <code className="font-mono text-sm">npm start</code>,
      and open the link beside “Console”.
    </p>
  )
}
