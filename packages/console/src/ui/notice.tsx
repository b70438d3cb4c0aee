/** Messages in the page: what failed with the request id to ask about, and what has happened. */
import type { ReactNode } from 'react'
import { SallyportApiError } from '@sallyport/client'
import { classes } from './classes.ts'
import type { Tone } from './badge.tsx'

const TONES: Readonly<Record<Tone, string>> = {
  good: 'border-good/40 bg-good-soft text-good',
  warn: 'border-warn/40 bg-warn-soft text-warn',
  bad: 'border-bad/40 bg-bad-soft text-bad',
  plain: 'border-line bg-sunken text-ink',
}

export function Notice({ tone, title, children }: { readonly tone: Tone; readonly title?: string; readonly children?: ReactNode }) {
  return (
    <div role={tone === 'bad' ? 'alert' : 'status'} className={classes('mb-4 rounded-xl border px-4 py-3 text-sm', TONES[tone])}>
      {title !== undefined && <p className="font-semibold">{title}</p>}
      {children}
    </div>
  )
}

/** Says what the gateway said, in its own words, or that it said nothing. */
export function FailureNotice({ error }: { readonly error: unknown }) {
  if (!(error instanceof SallyportApiError)) {
    return (
      <Notice tone="bad" title="The gateway did not answer">
        <p>Check that it is running and that this computer reaches it, then try again.</p>
      </Notice>
    )
  }
  return (
    <Notice tone="bad" title={error.detail ?? error.message}>
      {error.errors !== undefined && (
        <ul className="mt-1 list-disc pl-5">
          {error.errors.map(({ pointer, reason }) => (
            <li key={`${pointer} ${reason}`}>
              <code className="font-mono">{pointer}</code> {reason}
            </li>
          ))}
        </ul>
      )}
      <p className="mt-1">
        Code <code className="font-mono">{error.code}</code>
        {error.requestId !== undefined && (
          <>
            , request <code className="font-mono break-all">{error.requestId}</code>
          </>
        )}
      </p>
    </Notice>
  )
}
