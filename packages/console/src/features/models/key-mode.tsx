/** Whose keys calls to models go out with: the organization's setting `provider_key_mode`. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { PROVIDER_KEY_MODES } from '@sallyport/contract'
import type { ProviderKeyMode } from '@sallyport/contract'
import { api } from '../../api/client.ts'
import { settingsQuery } from '../../api/queries.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { FailureNotice } from '../../ui/notice.tsx'
import { Loading, Section } from '../../ui/page.tsx'

const WORDS: Readonly<Record<ProviderKeyMode, readonly [string, string]>> = {
  either: ['Either', 'The caller’s own key where it brings one in Sallyport-Provider-Key, else one that is kept here.'],
  byok_only: ['Callers’ own keys alone', 'Calls without one are refused; keys that are kept here are not used.'],
  vault_only: ['Kept keys alone', 'Calls that bring a key of their own are refused.'],
}

export function KeyMode() {
  const { org } = usePlace()
  const { data, error, isPending } = useQuery(settingsQuery(org))
  return (
    <Section title="Whose keys" about="For the whole organization, from the next call on.">
      {isPending && <Loading />}
      {error !== null && <FailureNotice error={error} />}
      {data !== undefined && (
        <ModeForm key={`${org} ${data.settings.provider_key_mode}`} org={org} inForce={data.settings.provider_key_mode} />
      )}
    </Section>
  )
}

/** Begins anew with what is in force, whoever changed it. A choice counts when it is saved: on the way through the choices by arrow keys each of them is chosen once. */
function ModeForm({ org, inForce }: { readonly org: string; readonly inForce: ProviderKeyMode }) {
  const queries = useQueryClient()
  const [chosen, setChosen] = useState(inForce)
  const save = useMutation({
    mutationFn: () => api.call('settingsUpdate', { params: { org }, body: { provider_key_mode: chosen } }),
    onSuccess: (settled) => queries.setQueryData(settingsQuery(org).queryKey, settled),
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit}>
      {save.error !== null && <FailureNotice error={save.error} />}
      <fieldset className="divide-y divide-line rounded-2xl border border-line bg-card">
        <legend className="sr-only">Whose keys calls go out with</legend>
        {PROVIDER_KEY_MODES.map((mode) => (
          <label key={mode} className="flex items-start gap-3 px-5 py-3">
            <input
              type="radio"
              name="mode"
              checked={mode === chosen}
              onChange={() => setChosen(mode)}
              className="mt-1 size-4 shrink-0 accent-act"
            />
            <span>
              <span className="block font-semibold">{WORDS[mode][0]}</span>
              <span className="block text-sm text-dim">{WORDS[mode][1]}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {chosen !== inForce && (
        <div className="mt-3 flex justify-end gap-2">
          <Button onClick={() => setChosen(inForce)}>Leave it</Button>
          <Button type="submit" look="primary" busy={save.isPending}>
            Change whose keys
          </Button>
        </div>
      )}
    </form>
  )
}
