/** The frame of a screen: its one heading, what it is for, its action; and the card that things stand on. */
import { useEffect, useId } from 'react'
import type { ReactNode } from 'react'
import { classes } from './classes.ts'

interface PageProps {
  readonly title: string
  readonly about: ReactNode
  readonly actions?: ReactNode
  readonly children: ReactNode
}

export function Page({ title, about, actions, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} - Sallyport`
  }, [title])
  return (
    <>
      <header className="mb-6 flex flex-wrap items-start justify-between gap-x-6 gap-y-4">
        <div className="max-w-2xl min-w-0">
          <h1 className="text-xl font-semibold tracking-tight">{title}</h1>
          <p className="mt-1 text-dim">{about}</p>
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </>
  )
}

/** A part of a screen that has several. */
export function Section({ title, about, actions, children }: PageProps) {
  const heading = useId()
  return (
    <section aria-labelledby={heading} className="mb-10">
      <header className="mb-3 flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
        <div className="max-w-2xl min-w-0">
          <h2 id={heading} className="text-lg font-semibold">
            {title}
          </h2>
          <p className="text-sm text-dim">{about}</p>
        </div>
        {actions !== undefined && <div className="flex flex-wrap gap-2">{actions}</div>}
      </header>
      {children}
    </section>
  )
}

export function Card({ children, className }: { readonly children: ReactNode; readonly className?: string }) {
  return <div className={classes('rounded-2xl border border-line bg-card', className)}>{children}</div>
}

interface EmptyProps {
  readonly title: string
  readonly children: ReactNode
  readonly action?: ReactNode
  /** The same step at a terminal. */
  readonly command?: ReactNode
}

/** What stands where nothing is yet: the next step, in words, as a button and as a command. */
export function Empty({ title, children, action, command }: EmptyProps) {
  return (
    <Card className="px-6 py-14 text-center">
      <h2 className="text-lg font-semibold">{title}</h2>
      <p className="mx-auto mt-2 max-w-md text-dim">{children}</p>
      {action !== undefined && <div className="mt-5 flex justify-center">{action}</div>}
      {command !== undefined && <div className="mx-auto mt-6 max-w-3xl text-left">{command}</div>}
    </Card>
  )
}

/** Rows that are things rather than figures: each wraps by itself on a narrow screen. */
export function Rows({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <ul aria-label={label} className="divide-y divide-line rounded-2xl border border-line bg-card">
      {children}
    </ul>
  )
}

export function Row({ children }: { readonly children: ReactNode }) {
  return <li className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3 px-5 py-4">{children}</li>
}

export function Loading() {
  return (
    <p role="status" className="py-10 text-center text-dim">
      Loading…
    </p>
  )
}
