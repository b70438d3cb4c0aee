/** Buttons, and links that look like them. One `primary` action per view; `danger` for what can't be taken back. */
import type { ComponentProps } from 'react'
import { classes } from './classes.ts'

type Look = 'primary' | 'plain' | 'quiet' | 'danger'

const BASE =
  'inline-flex items-center justify-center gap-2 rounded-lg px-3.5 py-2 text-sm font-semibold whitespace-nowrap no-underline transition-colors disabled:opacity-55'

const LOOKS: Readonly<Record<Look, string>> = {
  primary: 'bg-act text-on-act hover:bg-act-strong',
  plain: 'border border-line-strong/60 bg-card text-ink hover:bg-sunken',
  quiet: 'text-act hover:bg-act-soft',
  danger: 'border border-bad/50 bg-card text-bad hover:bg-bad-soft',
}

export function buttonClasses(look: Look, extra?: string): string {
  return classes(BASE, LOOKS[look], extra)
}

export function Button({ look = 'plain', busy = false, className, ...rest }: ComponentProps<'button'> & { look?: Look; busy?: boolean }) {
  return (
    <button
      type="button"
      {...rest}
      disabled={busy || rest.disabled}
      aria-busy={busy || undefined}
      className={buttonClasses(look, className)}
    />
  )
}

/** A link to another host or page; always in a tab of its own, which learns nothing of this one. */
export function ButtonLink({ look = 'plain', className, ...rest }: ComponentProps<'a'> & { look?: Look }) {
  return <a target="_blank" rel="noopener noreferrer" {...rest} className={buttonClasses(look, className)} />
}
