/** Asks before a key is turned off, because there is no way back. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import type { ApiKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { FailureNotice } from '../../ui/notice.tsx'

export function RevokeKeyDialog({ apiKey, onClose }: { readonly apiKey: ApiKey; readonly onClose: () => void }) {
  const place = usePlace()
  const queries = useQueryClient()
  const revoke = useMutation({
    mutationFn: () => api.call('keyRevoke', { params: { ...place, key: apiKey.id } }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['keys', place] })
      onClose()
    },
  })
  return (
    <Dialog title={`Revoke ${apiKey.name}?`} onClose={onClose}>
      <p>Whatever still uses this key is refused within seconds. A revoked key can’t be turned on again; create a new one instead.</p>
      {revoke.error !== null && (
        <div className="mt-4">
          <FailureNotice error={revoke.error} />
        </div>
      )}
      <DialogActions>
        <Button onClick={onClose}>Keep it</Button>
        <Button look="danger" busy={revoke.isPending} onClick={() => revoke.mutate()}>
          Revoke the key
        </Button>
      </DialogActions>
    </Dialog>
  )
}
