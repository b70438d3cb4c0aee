/** A labelled input with its hint. Refuses inputs without a label. */
import { useId } from 'react'
import type { ComponentProps, ReactNode } from 'react'
import { classes } from './classes.ts'

const INPUT =
  'block w-full rounded-lg border border-line-strong bg-card px-3 py-2 text-base text-ink placeholder:text-dim disabled:opacity-60'

interface FieldProps {
  readonly label: string
  readonly hint?: ReactNode
  readonly children: (ids: { readonly id: string; readonly 'aria-describedby': string | undefined }) => ReactNode
}

function Field({ label, hint, children }: FieldProps) {
  const id = useId()
  const hintId = hint === undefined ? undefined : `${id}-hint`
  return (
    <div className="mb-4">
      <label htmlFor={id} className="mb-1 block text-sm font-semibold">
        {label}
      </label>
      {children({ id, 'aria-describedby': hintId })}
      {hint !== undefined && (
        <p id={hintId} className="mt-1 text-sm text-dim">
          {hint}
        </p>
      )}
    </div>
  )
}

type Described = { readonly label: string; readonly hint?: ReactNode; readonly mono?: boolean }

export function TextField({ label, hint, mono = false, ...rest }: Described & ComponentProps<'input'>) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => <input autoComplete="off" spellCheck={false} {...rest} {...ids} className={classes(INPUT, mono && 'font-mono text-sm')} />}
    </Field>
  )
}

export function TextAreaField({ label, hint, mono = false, ...rest }: Described & ComponentProps<'textarea'>) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => (
        <textarea autoComplete="off" spellCheck={false} {...rest} {...ids} className={classes(INPUT, mono && 'font-mono text-sm')} />
      )}
    </Field>
  )
}

export function SelectField({ label, hint, children, ...rest }: Described & ComponentProps<'select'>) {
  return (
    <Field label={label} hint={hint}>
      {(ids) => (
        <select {...rest} {...ids} className={INPUT}>
          {children}
        </select>
      )}
    </Field>
  )
}
