/** Asks before a key is turned off, because there is no way back. */
import { api } from '../../api/client.ts'
import type { ApiKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { ConfirmDialog } from '../../ui/confirm.tsx'

export function RevokeKeyDialog({ apiKey, onClose }: { readonly apiKey: ApiKey; readonly onClose: () => void }) {
  const place = usePlace()
  return (
    <ConfirmDialog
      title={`Revoke ${apiKey.name}?`}
      action="Revoke the key"
      run={() => api.call('keyRevoke', { params: { ...place, key: apiKey.id } })}
      changes={['keys', place]}
      onClose={onClose}
    >
      Whatever still uses this key is refused within seconds. A revoked key can’t be turned on again; create a new one instead.
    </ConfirmDialog>
  )
}
