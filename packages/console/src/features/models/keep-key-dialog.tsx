/** Keeping a provider's key. The secret goes to the gateway, is sealed there, and is never shown again. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { api } from '../../api/client.ts'
import { modelProvidersQuery } from '../../api/queries.ts'
import type { ModelProvider } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice } from '../../ui/notice.tsx'
import { Loading } from '../../ui/page.tsx'
import { secretOf, SecretFields } from './secret-fields.tsx'

export function KeepKeyDialog({ onClose }: { readonly onClose: () => void }) {
  const { data: providers, error } = useQuery(modelProvidersQuery)
  return (
    <Dialog title="Keep a key" onClose={onClose}>
      {providers !== undefined && <KeepForm providers={providers} onClose={onClose} />}
      {providers === undefined && (error === null ? <Loading /> : <FailureNotice error={error} />)}
    </Dialog>
  )
}

function KeepForm({ providers, onClose }: { readonly providers: readonly ModelProvider[]; readonly onClose: () => void }) {
  const place = usePlace()
  const queries = useQueryClient()
  const [providerId, setProviderId] = useState(providers.find(({ id }) => id === 'openai')?.id ?? providers[0]?.id)
  const provider = providers.find(({ id }) => id === providerId)
  const keep = useMutation({
    // What was typed must not stay in the cache of changes.
    gcTime: 0,
    mutationFn: ({
      everywhere,
      ...body
    }: {
      everywhere: boolean
      provider: string
      name: string
      secret: string
      settings: Record<string, string>
    }) =>
      everywhere
        ? api.call('organizationProviderKeyCreate', { params: { org: place.org }, body })
        : api.call('providerKeyCreate', { params: place, body }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['provider-keys'] })
      onClose()
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    if (provider === undefined) return
    const form = new FormData(event.currentTarget)
    keep.mutate({
      everywhere: textOf(form, 'where') === 'organization',
      provider: provider.id,
      name: textOf(form, 'name').trim(),
      ...secretOf(form, provider),
    })
  }
  return (
    <form onSubmit={submit}>
      <SelectField label="Provider" value={providerId} onChange={({ target }) => setProviderId(target.value)}>
        {providers.map(({ id, name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </SelectField>
      <SelectField name="where" label="For">
        <option value="environment">The {place.environment} environment of this project</option>
        <option value="organization">The whole organization</option>
      </SelectField>
      <TextField
        name="name"
        label="Name"
        hint="One stands for good under each name of a provider. Calls and routes that name none take “default”."
        defaultValue="default"
        required
        maxLength={120}
      />
      {/* The key makes the fields of another provider begin empty. */}
      {provider !== undefined && <SecretFields key={provider.id} provider={provider} />}
      {keep.error !== null && <FailureNotice error={keep.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={keep.isPending}>
          Keep it
        </Button>
      </DialogActions>
    </form>
  )
}
