/** Adding an integration. The secret goes to the gateway, is sealed there, and is never shown again; afterwards the redirect URI is known. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { api } from '../../api/client.ts'
import { providersQuery } from '../../api/queries.ts'
import type { Integration, Provider } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { CopyBox } from '../../ui/copy.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextAreaField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Loading } from '../../ui/page.tsx'

export function AddIntegrationDialog({ onClose }: { readonly onClose: () => void }) {
  const { data: providers, error } = useQuery(providersQuery)
  const [added, setAdded] = useState<Integration>()
  return (
    <Dialog title={added === undefined ? 'Add an integration' : 'One step at the provider'} onClose={onClose}>
      {added !== undefined && <Added integration={added} onClose={onClose} />}
      {added === undefined && providers !== undefined && <AddForm providers={providers} onAdded={setAdded} onClose={onClose} />}
      {providers === undefined && (error === null ? <Loading /> : <FailureNotice error={error} />)}
    </Dialog>
  )
}

interface AddFormProps {
  readonly providers: readonly Provider[]
  readonly onAdded: (integration: Integration) => void
  readonly onClose: () => void
}

function AddForm({ providers, onAdded, onClose }: AddFormProps) {
  const place = usePlace()
  const queries = useQueryClient()
  const [providerId, setProviderId] = useState(providers[0]?.id ?? '')
  const provider = providers.find(({ id }) => id === providerId)
  const add = useMutation({
    mutationFn: (body: { slug: string; provider: string; client_id: string; client_secret: string; scopes: string[] }) =>
      api.call('integrationCreate', { params: place, body }),
    onSuccess: async (integration) => {
      await queries.invalidateQueries({ queryKey: ['integrations', place] })
      onAdded(integration)
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const field = (name: string): string => textOf(form, name).trim()
    add.mutate({
      slug: field('slug'),
      provider: providerId,
      client_id: field('client_id'),
      client_secret: field('client_secret'),
      scopes: field('scopes')
        .split(/[\s,]+/u)
        .filter((scope) => scope !== ''),
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
      {/* The key makes what follows from the provider follow again when another is chosen. */}
      <div key={providerId}>
        <TextField
          name="slug"
          label="Name"
          hint="Stands in the path of calls: /proxy/name/…"
          defaultValue={providerId}
          required
          maxLength={63}
          pattern="[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?"
          title="Lower-case letters, digits, and hyphens between them"
          mono
        />
        <TextField name="client_id" label="Client id" required maxLength={512} mono />
        <TextField
          name="client_secret"
          label="Client secret"
          hint="Sealed on arrival, and never shown again."
          type="password"
          autoComplete="new-password"
          required
          maxLength={2048}
          mono
        />
        <TextAreaField
          name="scopes"
          label="Scopes"
          hint="What is asked of the provider, and required of its answer. Separate them with spaces."
          rows={3}
          defaultValue={provider?.default_scopes.join(' ')}
          mono
        />
      </div>
      {add.error !== null && <FailureNotice error={add.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={add.isPending}>
          Add
        </Button>
      </DialogActions>
    </form>
  )
}

function Added({ integration, onClose }: { readonly integration: Integration; readonly onClose: () => void }) {
  return (
    <>
      <Notice tone="good" title={`${integration.slug} is added`} />
      <p className="mb-4">Register this address with the provider, exactly as it stands, as where it sends people back to.</p>
      <CopyBox label="Redirect URI" text={integration.redirect_uri} />
      <DialogActions>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
    </>
  )
}
