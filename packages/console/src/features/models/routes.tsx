/** Named routes of an environment: the names that applications ask for, and which models answer to each. */
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { modelRoutePages } from '../../api/queries.ts'
import type { ModelRoute } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { useMay } from '../../app/role.ts'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm.tsx'
import { Card, Row, Rows, Section } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { CAUSE_WORDS, STRATEGY_WORDS } from './route-words.ts'
import { RouteDialog } from './route-dialog.tsx'

export function Routes() {
  const place = usePlace()
  const may = useMay()
  const [editing, setEditing] = useState<ModelRoute | 'new'>()
  const [deleting, setDeleting] = useState<ModelRoute>()
  const make = may('modelRouteCreate') ? <Button onClick={() => setEditing('new')}>Make a route</Button> : undefined
  return (
    <Section
      title="Named routes"
      about="A name that applications give as model. Which models answer to it, and which is asked when one fails, is changed here and not in them."
      actions={make}
    >
      <Paged
        pages={modelRoutePages(place)}
        empty={
          <Card className="px-5 py-4 text-sm text-dim">
            No route yet. Without one, calls name a provider and its model: <code className="font-mono break-all">openai/gpt-4.1-mini</code>
            .
          </Card>
        }
      >
        {(routes) => (
          <Rows label="Named routes">
            {routes.map((route) => (
              <RouteRow key={route.id} route={route} onEdit={() => setEditing(route)} onDelete={() => setDeleting(route)} />
            ))}
          </Rows>
        )}
      </Paged>
      {editing !== undefined && <RouteDialog route={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />}
      {deleting !== undefined && (
        <ConfirmDialog
          title={`Take out ${deleting.name}?`}
          action="Take the route out"
          run={() => api.call('modelRouteDelete', { params: { ...place, model_route: deleting.id } })}
          changes={['model-routes', place]}
          onClose={() => setDeleting(undefined)}
        >
          Calls that ask for it are refused from then on. What they used stays on record.
        </ConfirmDialog>
      )}
    </Section>
  )
}

interface RouteRowProps {
  readonly route: ModelRoute
  readonly onEdit: () => void
  readonly onDelete: () => void
}

function RouteRow({ route, onEdit, onDelete }: RouteRowProps) {
  const may = useMay()
  const { name, strategy, targets, fallback_on: causes, deadline_ms: deadlineMs } = route
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="font-semibold break-all">{name}</p>
        <p className="mt-0.5 text-sm text-dim">{STRATEGY_WORDS[strategy]}</p>
        <ol className="mt-2 list-decimal space-y-0.5 pl-5 text-sm">
          {targets.map(({ provider, model, key_name: keyName, weight, first_byte_timeout_ms: patience }, index) => (
            // Two targets may say the same, and their order is what tells them apart.
            // oxlint-disable-next-line react/no-array-index-key
            <li key={index}>
              <span className="font-mono break-all">
                {provider}/{model}
              </span>
              <span className="text-dim">
                {strategy === 'weighted' && `, weight ${weight}`}
                {keyName !== 'default' && `, key ${keyName}`}
                {patience !== null && `, ${patience} ms to begin`}
              </span>
            </li>
          ))}
        </ol>
        <p className="mt-2 text-sm text-dim">
          {causes.length === 0
            ? 'Never goes on to the next.'
            : `Goes on to the next after: ${causes.map((cause) => CAUSE_WORDS[cause]).join(', ')}.`}{' '}
          {deadlineMs / 1000} s in all until an answer begins.
        </p>
      </div>
      <div className="flex gap-2">
        {may('modelRouteUpdate') && (
          <Button onClick={onEdit} aria-label={`Change ${name}`}>
            Change
          </Button>
        )}
        {may('modelRouteDelete') && (
          <Button look="danger" onClick={onDelete} aria-label={`Take out ${name}`}>
            Take out
          </Button>
        )}
      </div>
    </Row>
  )
}
