/** Text that is meant to be taken elsewhere, with a button that copies it and says so. */
import { useEffect, useId, useState } from 'react'
import { Button } from './button.tsx'

const CONFIRMED_MS = 2000

type State = 'idle' | 'copied' | 'refused'

const OUTCOMES: Readonly<Record<Exclude<State, 'idle'>, string>> = { copied: 'Copied', refused: 'Select and copy by hand' }

/**
 * @param label names the text to those who do not see it beside the button.
 * @param words what the button says; default: Copy.
 */
export function CopyButton({ text, label, words = 'Copy' }: { readonly text: string; readonly label: string; readonly words?: string }) {
  const [state, setState] = useState<State>('idle')
  useEffect(() => {
    if (state === 'idle') return undefined
    const timer = setTimeout(() => setState('idle'), CONFIRMED_MS)
    return () => clearTimeout(timer)
  }, [state])
  const copy = (): void =>
    // Refused without a secure origin or the permission; the text stands there to be selected.
    void navigator.clipboard.writeText(text).then(
      () => setState('copied'),
      () => setState('refused'),
    )
  return (
    <Button onClick={copy} aria-label={state === 'idle' ? `Copy ${label}` : undefined}>
      <span aria-live="polite">{state === 'idle' ? words : OUTCOMES[state]}</span>
    </Button>
  )
}

export function CopyBox({ text, label }: { readonly text: string; readonly label: string }) {
  const heading = useId()
  return (
    <div role="group" aria-labelledby={heading} className="mb-4">
      <p id={heading} className="mb-1 text-sm font-semibold">
        {label}
      </p>
      <div className="flex items-start gap-2">
        <code className="min-w-0 flex-1 rounded-lg border border-line bg-sunken px-3 py-2 font-mono text-sm break-all select-all">
          {text}
        </code>
        <CopyButton text={text} label={label.toLowerCase()} />
      </div>
    </div>
  )
}
