/** Asks before something is done that has no way back, and does it. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { Dialog, DialogActions } from './dialog.tsx'
import { FailureNotice } from './notice.tsx'

interface ConfirmProps {
  readonly title: string
  /** What follows from it. */
  readonly children: ReactNode
  /** The words of the button that does it. */
  readonly action: string
  readonly run: () => Promise<unknown>
  /** What is read anew afterwards: every list whose name begins so. */
  readonly changes: readonly unknown[]
  readonly onClose: () => void
}

export function ConfirmDialog({ title, children, action, run, changes, onClose }: ConfirmProps) {
  const queries = useQueryClient()
  const doing = useMutation({
    mutationFn: run,
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: changes })
      onClose()
    },
  })
  return (
    <Dialog title={title} onClose={onClose}>
      <p>{children}</p>
      {doing.error !== null && (
        <div className="mt-4">
          <FailureNotice error={doing.error} />
        </div>
      )}
      <DialogActions>
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" busy={doing.isPending} onClick={() => doing.mutate()}>
          {action}
        </Button>
      </DialogActions>
    </Dialog>
  )
}
