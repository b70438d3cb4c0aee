/** Making a named route, or changing one: its name, its targets in their order or with their weights, and when the next is asked. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { schemas } from '@sallyport/contract'
import { api } from '../../api/client.ts'
import { keptProvidersQuery, modelProvidersQuery } from '../../api/queries.ts'
import type { ModelProvider, ModelRoute, ModelTarget } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice } from '../../ui/notice.tsx'
import { Loading } from '../../ui/page.tsx'
import { SMALL_MODELS } from './commands.ts'
import { CAUSE_WORDS, STRATEGY_WORDS } from './route-words.ts'

const MS_PER_S = 1_000
const LONGEST_S = 600

/** A target on its way through the form, with a number of its own that goes with it when it is moved. */
interface Draft {
  readonly number: number
  readonly target: ModelTarget
}

export function RouteDialog({ route, onClose }: { readonly route: ModelRoute | undefined; readonly onClose: () => void }) {
  const place = usePlace()
  const providers = useQuery(modelProvidersQuery)
  const kept = useQuery(keptProvidersQuery(place))
  const error = providers.error ?? kept.error
  return (
    <Dialog title={route === undefined ? 'Make a route' : `Change ${route.name}`} onClose={onClose}>
      {error !== null && <FailureNotice error={error} />}
      {error === null && (providers.data === undefined || kept.data === undefined) && <Loading />}
      {providers.data !== undefined && kept.data !== undefined && (
        <RouteForm route={route} providers={providers.data} kept={kept.data} onClose={onClose} />
      )}
    </Dialog>
  )
}

interface RouteFormProps {
  readonly route: ModelRoute | undefined
  readonly providers: readonly ModelProvider[]
  /** Those that a key is kept for. */
  readonly kept: readonly string[]
  readonly onClose: () => void
}

function RouteForm({ route, providers, kept, onClose }: RouteFormProps) {
  const place = usePlace()
  const queries = useQueryClient()
  const first = kept[0] ?? providers[0]?.id ?? ''
  const [drafts, setDrafts] = useState<readonly Draft[]>(() =>
    (route?.targets ?? [newTarget(first)]).map((target, number) => ({ number, target })),
  )
  const [strategy, setStrategy] = useState(route?.strategy ?? 'ordered')
  const save = useMutation({
    mutationFn: (body: Pick<ModelRoute, 'name' | 'strategy' | 'targets' | 'fallback_on' | 'deadline_ms'>) =>
      route === undefined
        ? api.call('modelRouteCreate', { params: place, body })
        : api.call('modelRouteUpdate', { params: { ...place, model_route: route.id }, body }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['model-routes', place] })
      onClose()
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    save.mutate({
      name: textOf(form, 'name').trim(),
      strategy,
      targets: drafts.map(({ target }) => target),
      fallback_on: schemas.FALLBACK_CAUSES.filter((cause) => form.has(cause)),
      deadline_ms: Math.round(Number(textOf(form, 'deadline')) * MS_PER_S),
    })
  }
  const add = (): void => setDrafts([...drafts, { number: Math.max(...drafts.map(({ number }) => number)) + 1, target: newTarget(first) }])
  return (
    <form onSubmit={submit}>
      <TextField
        name="name"
        label="Name"
        hint="What applications give as model. No slash, by which a provider’s model is told from it."
        defaultValue={route?.name}
        required
        maxLength={120}
        pattern="[A-Za-z0-9](?:[A-Za-z0-9._:\-]*[A-Za-z0-9])?"
        title="Letters and digits, with . _ : - between them"
        mono
      />
      <SelectField
        label="Targets are asked"
        value={strategy}
        onChange={({ target }) => setStrategy(target.value === 'weighted' ? 'weighted' : 'ordered')}
      >
        {Object.entries(STRATEGY_WORDS).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </SelectField>
      <ol aria-label="Targets" className="mb-4 space-y-3">
        {drafts.map((draft, index) => (
          <TargetFields
            key={draft.number}
            target={draft.target}
            index={index}
            of={drafts.length}
            weighted={strategy === 'weighted'}
            providers={providers}
            onChange={(target) => setDrafts(drafts.with(index, { ...draft, target }))}
            onMove={() => setDrafts(drafts.with(index - 1, draft).with(index, drafts[index - 1]!))}
            onRemove={() => setDrafts(drafts.toSpliced(index, 1))}
          />
        ))}
      </ol>
      <div className="mb-4">
        <Button onClick={add} disabled={drafts.length >= schemas.MODEL_TARGETS_MOST}>
          Add a target
        </Button>
      </div>
      <Causes chosen={route?.fallback_on ?? schemas.FALLBACK_CAUSES} />
      <TextField
        name="deadline"
        label="Seconds until an answer begins"
        hint="Over all targets. An answer that is not streamed begins when it is written whole."
        type="number"
        min={1}
        max={LONGEST_S}
        step="any"
        defaultValue={(route?.deadline_ms ?? LONGEST_S * MS_PER_S) / MS_PER_S}
        required
      />
      {save.error !== null && <FailureNotice error={save.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {route === undefined ? 'Make it' : 'Change it'}
        </Button>
      </DialogActions>
    </form>
  )
}

function newTarget(provider: string): ModelTarget {
  return { provider, model: SMALL_MODELS[provider] ?? '', key_name: 'default', weight: 1, first_byte_timeout_ms: null }
}

interface TargetFieldsProps {
  readonly target: ModelTarget
  readonly index: number
  readonly of: number
  readonly weighted: boolean
  readonly providers: readonly ModelProvider[]
  readonly onChange: (target: ModelTarget) => void
  /** Before the one that stands before it. */
  readonly onMove: () => void
  readonly onRemove: () => void
}

function TargetFields({ target, index, of, weighted, providers, onChange, onMove, onRemove }: TargetFieldsProps) {
  const nth = index + 1
  const patience = target.first_byte_timeout_ms
  return (
    <li className="rounded-xl border border-line px-4 pt-3">
      <div className="mb-2 flex flex-wrap items-center justify-between gap-2">
        <p className="text-sm font-semibold">Target {nth}</p>
        <span className="flex gap-2">
          {/* Not `disabled`, which would lose the place of whoever moved it there by the keyboard. */}
          <Button
            look="quiet"
            onClick={index === 0 ? undefined : onMove}
            aria-disabled={index === 0}
            aria-label={`Move target ${nth} up`}
            className={index === 0 ? 'opacity-55' : ''}
          >
            Up
          </Button>
          <Button look="quiet" onClick={onRemove} disabled={of === 1} aria-label={`Remove target ${nth}`}>
            Remove
          </Button>
        </span>
      </div>
      <div className="grid gap-x-3 sm:grid-cols-2">
        <SelectField
          label="Provider"
          value={target.provider}
          onChange={({ target: { value } }) => onChange({ ...target, provider: value, model: SMALL_MODELS[value] ?? '' })}
        >
          {providers.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
          {/* One that the operator took out since. */}
          {!providers.some(({ id }) => id === target.provider) && <option value={target.provider}>{target.provider}</option>}
        </SelectField>
        <TextField
          label="Model"
          value={target.model}
          onChange={({ target: { value } }) => onChange({ ...target, model: value.trim() })}
          required
          maxLength={200}
          mono
        />
        <TextField
          label="Key"
          value={target.key_name}
          onChange={({ target: { value } }) => onChange({ ...target, key_name: value })}
          required
          maxLength={120}
        />
        {weighted && (
          <TextField
            label="Weight"
            type="number"
            min={1}
            max={1000}
            value={target.weight}
            onChange={({ target: { valueAsNumber } }) => onChange({ ...target, weight: Number.isNaN(valueAsNumber) ? 1 : valueAsNumber })}
            required
          />
        )}
        <TextField
          label="ms to begin"
          placeholder="as the route"
          type="number"
          min={100}
          max={LONGEST_S * MS_PER_S}
          value={patience ?? ''}
          onChange={({ target: { value } }) => onChange({ ...target, first_byte_timeout_ms: value === '' ? null : Number(value) })}
        />
      </div>
    </li>
  )
}

function Causes({ chosen }: { readonly chosen: readonly string[] }) {
  return (
    <fieldset className="mb-4">
      <legend className="mb-1 text-sm font-semibold">The next is asked after</legend>
      <div className="divide-y divide-line rounded-lg border border-line">
        {schemas.FALLBACK_CAUSES.map((cause) => (
          <label key={cause} className="flex items-center gap-3 px-3 py-2 text-sm hover:bg-sunken">
            <input type="checkbox" name={cause} defaultChecked={chosen.includes(cause)} className="size-4 shrink-0 accent-act" />
            {CAUSE_WORDS[cause]}
          </label>
        ))}
      </div>
    </fieldset>
  )
}
