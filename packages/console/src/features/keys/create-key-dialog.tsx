/** Making a key. Its text lives in this dialog alone, from the answer until the dialog closes. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { SCOPES } from '@sallyport/contract'
import type { Scope } from '@sallyport/contract'
import { api } from '../../api/client.ts'
import { keptProvidersQuery, modelRoutesQuery, recentConnectionsQuery } from '../../api/queries.ts'
import type { Connection, NewKey } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { CopyBox } from '../../ui/copy.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { firstModelCall } from '../models/commands.ts'
import { firstCall } from './first-call.ts'
import { SCOPE_WORDS } from './scope-words.ts'

const DAY_S = 86_400
const LIVES = [
  { label: '30 days', seconds: 30 * DAY_S },
  { label: '90 days', seconds: 90 * DAY_S },
  { label: 'A year', seconds: 365 * DAY_S },
] as const

export function CreateKeyDialog({ onClose }: { readonly onClose: () => void }) {
  const place = usePlace()
  const { data } = useQuery(recentConnectionsQuery(place))
  const usable = data?.data.filter(({ status }) => status === 'active') ?? []
  const [made, setMade] = useState<NewKey>()
  return (
    <Dialog title={made === undefined ? 'Create a key' : 'Copy the key now'} onClose={onClose}>
      {made === undefined ? (
        <CreateForm connections={usable} onMade={setMade} onClose={onClose} />
      ) : (
        <Made made={made} connections={usable} onClose={onClose} />
      )}
    </Dialog>
  )
}

interface CreateFormProps {
  readonly connections: readonly Connection[]
  readonly onMade: (made: NewKey) => void
  readonly onClose: () => void
}

function CreateForm({ connections, onMade, onClose }: CreateFormProps) {
  const place = usePlace()
  const queries = useQueryClient()
  const [scopes, setScopes] = useState<readonly Scope[]>(['proxy:call'])
  const create = useMutation({
    // The answer holds the key's text: it must not stay in the cache of changes.
    gcTime: 0,
    mutationFn: (body: { name: string; scopes: Scope[]; connection?: string; expires_in_s?: number; allowed_addresses?: string[] }) =>
      api.call('keyCreate', { params: place, body }),
    onSuccess: async (made) => {
      onMade(made)
      await queries.invalidateQueries({ queryKey: ['keys', place] })
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const [connection, life] = [textOf(form, 'connection'), Number(textOf(form, 'life'))]
    const addresses = textOf(form, 'addresses')
      .split(/[\s,]+/u)
      .filter((range) => range !== '')
    create.mutate({
      name: textOf(form, 'name'),
      scopes: [...scopes],
      ...(connection === '' ? {} : { connection }),
      ...(life === 0 ? {} : { expires_in_s: life }),
      ...(addresses.length === 0 ? {} : { allowed_addresses: addresses }),
    })
  }
  return (
    <form onSubmit={submit}>
      <TextField name="name" label="Name" hint="Where the key is used, for whoever reads the list later." required maxLength={120} />
      <ScopeChoice chosen={scopes} onChange={setScopes} />
      <SelectField name="connection" label="Connection" hint="A key bound to one connection can use no other.">
        <option value="">Any of this environment</option>
        {connections.map(({ id, integration, account, end_user_id: endUser }) => (
          <option key={id} value={id}>
            {integration}: {account?.label ?? account?.id ?? endUser}
          </option>
        ))}
      </SelectField>
      <SelectField name="life" label="Expires after">
        <option value="0">Never</option>
        {LIVES.map(({ label, seconds }) => (
          <option key={seconds} value={seconds}>
            {label}
          </option>
        ))}
      </SelectField>
      <TextField
        name="addresses"
        label="Only from"
        hint="Addresses and ranges, like 203.0.113.0/24 2001:db8::/32. Empty: from anywhere."
        maxLength={2500}
        mono
      />
      {create.error !== null && <FailureNotice error={create.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={create.isPending} disabled={scopes.length === 0}>
          Create
        </Button>
      </DialogActions>
    </form>
  )
}

function ScopeChoice({ chosen, onChange }: { readonly chosen: readonly Scope[]; readonly onChange: (scopes: readonly Scope[]) => void }) {
  return (
    <fieldset className="mb-4">
      <legend className="mb-1 text-sm font-semibold">May</legend>
      <div className="divide-y divide-line rounded-lg border border-line">
        {SCOPES.map((scope) => (
          <label key={scope} className="flex items-center gap-3 px-3 py-2 text-sm hover:bg-sunken">
            <input
              type="checkbox"
              checked={chosen.includes(scope)}
              onChange={({ target }) => onChange(target.checked ? [...chosen, scope] : chosen.filter((other) => other !== scope))}
              className="size-4 shrink-0 accent-act"
            />
            <span className="flex flex-1 flex-wrap justify-between gap-x-4">
              <span>{SCOPE_WORDS[scope]}</span>
              <code className="font-mono text-xs text-dim">{scope}</code>
            </span>
          </label>
        ))}
      </div>
    </fieldset>
  )
}

interface MadeProps {
  readonly made: NewKey
  readonly connections: readonly Connection[]
  readonly onClose: () => void
}

function Made({ made: { key, secret }, connections, onClose }: MadeProps) {
  const target = key.connection === null ? connections[0] : connections.find(({ id }) => id === key.connection)
  return (
    <>
      <Notice tone="warn" title="This is the only time the key is shown.">
        <p>The gateway keeps what it needs to recognise it, not the key. When it is lost, create another and revoke this one.</p>
      </Notice>
      <CopyBox label="API key" text={secret} />
      {target !== undefined && key.scopes.includes('proxy:call') && (
        <CopyBox label="A first call" text={firstCall(window.location.origin, secret, target)} />
      )}
      {key.scopes.includes('llm:call') && <FirstModelCall secret={secret} />}
      <DialogActions>
        <Button look="primary" onClick={onClose}>
          I have copied it
        </Button>
      </DialogActions>
    </>
  )
}

/** Nothing while no model can be asked, and none when that can't be told: the key is there either way. */
function FirstModelCall({ secret }: { readonly secret: string }) {
  const place = usePlace()
  const { data: providers } = useQuery(keptProvidersQuery(place))
  const { data: routes } = useQuery(modelRoutesQuery(place))
  if (providers === undefined || routes === undefined) return null
  const line = firstModelCall(window.location.origin, { routes, providers }, secret)
  return line === undefined ? null : <CopyBox label="A first call of a model" text={line} />
}
