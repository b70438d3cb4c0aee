/**
 * A modal dialog on the browser's own <dialog>: focus stays inside, Escape closes, the page behind is inert. It is open for as long as it is
 * rendered, so what is typed into it never outlives it.
 */
import { useId, useLayoutEffect, useRef } from 'react'
import type { ReactNode } from 'react'
import { CloseIcon } from './icons.tsx'

interface DialogProps {
  readonly title: string
  readonly children: ReactNode
  /** Called when the person closes it, by the button, Escape or the buttons inside. */
  readonly onClose: () => void
}

export function Dialog({ title, children, onClose }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null)
  const heading = useId()
  // Before the element is taken out of the page: closing gives the focus back to where it was.
  useLayoutEffect(() => {
    const element = dialog.current
    if (element !== null && !element.open) element.showModal()
    return () => element?.close()
  }, [])
  return (
    <dialog
      ref={dialog}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault()
        onClose()
      }}
      className="m-auto max-h-[calc(100dvh-2rem)] w-[min(34rem,calc(100vw-2rem))] overflow-y-auto rounded-2xl border border-line bg-card p-0 text-ink shadow-2xl"
    >
      <div className="sticky top-0 flex items-center justify-between gap-4 bg-card px-6 pt-5 pb-3">
        <h2 id={heading} className="text-lg font-semibold">
          {title}
        </h2>
        <button type="button" onClick={onClose} aria-label="Close" className="-mr-2 rounded-lg p-2 text-dim hover:bg-sunken hover:text-ink">
          <CloseIcon />
        </button>
      </div>
      <div className="px-6 pb-6">{children}</div>
    </dialog>
  )
}

/** The row of buttons that ends a dialog; the last one is the action. */
export function DialogActions({ children }: { readonly children: ReactNode }) {
  return <div className="mt-6 flex flex-wrap justify-end gap-2">{children}</div>
}
