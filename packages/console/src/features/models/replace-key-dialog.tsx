/** Putting a new key in the place of one, while the old one stays at hand for as long as is said. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { SubmitEvent } from 'react'
import { api } from '../../api/client.ts'
import { modelProvidersQuery } from '../../api/queries.ts'
import type { ModelProvider, ProviderKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Loading } from '../../ui/page.tsx'
import { secretOf, SecretFields } from './secret-fields.tsx'

const HOUR_S = 3_600
const OVERLAPS = [
  { label: 'No time: it ends at once', seconds: 0 },
  { label: 'An hour', seconds: HOUR_S },
  { label: 'A day', seconds: 24 * HOUR_S },
  { label: 'A week', seconds: 7 * 24 * HOUR_S },
  { label: '30 days', seconds: 30 * 24 * HOUR_S },
] as const

interface ReplaceKeyDialogProps {
  readonly providerKey: ProviderKey
  readonly onClose: () => void
}

export function ReplaceKeyDialog({ providerKey, onClose }: ReplaceKeyDialogProps) {
  const { data: providers, error } = useQuery(modelProvidersQuery)
  const provider = providers?.find(({ id }) => id === providerKey.provider)
  return (
    <Dialog title={`Replace the key of ${providerKey.provider}`} onClose={onClose}>
      {providers === undefined && (error === null ? <Loading /> : <FailureNotice error={error} />)}
      {provider !== undefined && <ReplaceForm providerKey={providerKey} provider={provider} onClose={onClose} />}
      {providers !== undefined && provider === undefined && (
        <Notice tone="warn" title="This gateway no longer knows the provider.">
          <p>Its operator took it out of the configuration. The key can be revoked.</p>
        </Notice>
      )}
    </Dialog>
  )
}

function ReplaceForm({ providerKey, provider, onClose }: ReplaceKeyDialogProps & { readonly provider: ModelProvider }) {
  const place = usePlace()
  const queries = useQueryClient()
  const { id, project, settings } = providerKey
  const replace = useMutation({
    // What was typed must not stay in the cache of changes.
    gcTime: 0,
    mutationFn: (body: { secret: string; settings: Record<string, string>; overlap_s: number }) =>
      project === null
        ? api.call('organizationProviderKeyRotate', { params: { org: place.org, organization_provider_key: id }, body })
        : api.call('providerKeyRotate', { params: { ...place, provider_key: id }, body }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['provider-keys'] })
      onClose()
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    replace.mutate({ ...secretOf(form, provider), overlap_s: Number(textOf(form, 'overlap')) })
  }
  return (
    <form onSubmit={submit}>
      <p className="mb-4">
        Calls carry the new key from now on. Should it be revoked while the old one is at hand, they carry the old one again.
      </p>
      <SecretFields provider={provider} settings={settings} />
      <SelectField name="overlap" label="The old key stays at hand for" defaultValue={24 * HOUR_S}>
        {OVERLAPS.map(({ label, seconds }) => (
          <option key={seconds} value={seconds}>
            {label}
          </option>
        ))}
      </SelectField>
      {replace.error !== null && <FailureNotice error={replace.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={replace.isPending}>
          Replace
        </Button>
      </DialogActions>
    </form>
  )
}
