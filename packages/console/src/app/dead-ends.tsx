/** Screens for when there is nowhere to be: an unknown address, no project, a screen that failed. */
import { Link } from '@tanstack/react-router'
import type { ErrorComponentProps } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { Button, buttonClasses } from '../ui/button.tsx'
import { FailureNotice } from '../ui/notice.tsx'

function DeadEnd({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <main className="mx-auto mt-[20vh] max-w-md px-4">
      <h1 className="mb-3 text-xl font-semibold">{title}</h1>
      {children}
    </main>
  )
}

export function Lost() {
  return (
    <DeadEnd title="There is nothing here">
      <p className="mb-5 text-dim">The address is misspelt, or what it named is gone.</p>
      <Link to="/" className={buttonClasses('primary')}>
        To the overview
      </Link>
    </DeadEnd>
  )
}

export function NoProject() {
  return (
    <DeadEnd title="No project yet">
      <p className="text-dim">You belong to no organization with a project. Ask an owner to invite you.</p>
    </DeadEnd>
  )
}

export function ScreenFailure({ error, reset }: ErrorComponentProps) {
  return (
    <DeadEnd title="This screen can’t be shown">
      <FailureNotice error={error} />
      <Button look="primary" onClick={reset}>
        Try again
      </Button>
    </DeadEnd>
  )
}
