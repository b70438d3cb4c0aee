/** How much model calls may cost: each budget with what is spent and set aside of it, making one, changing it and taking it away. */
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { api } from '../../api/client.ts'
import { budgetPages, projectsQuery, recentKeysQuery } from '../../api/queries.ts'
import type { Budget } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { useMay } from '../../app/role.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm.tsx'
import { Empty, Row, Rows, Section } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { BudgetDialog } from './budget-dialog.tsx'
import { ENFORCEMENT_WORDS, PERIOD_WORDS } from './budget-words.ts'
import { dollars, filled } from './figures.ts'

export function Budgets() {
  const { org } = usePlace()
  const may = useMay()
  const [editing, setEditing] = useState<Budget | 'new'>()
  const [deleting, setDeleting] = useState<Budget>()
  const holderName = useHolderNames()
  const make = may('budgetCreate') ? <Button onClick={() => setEditing('new')}>Set a budget</Button> : undefined
  return (
    <Section
      title="Budgets"
      about="All that bound a call hold beside each other. What a call may cost is set aside before it goes out, and what it did cost is taken when it ends."
      actions={make}
    >
      <Paged
        pages={budgetPages(org)}
        empty={
          <Empty title="No budget yet">
            {may('budgetCreate')
              ? 'Set one for the organization, a project or a key. A hard one refuses calls before they go out; the other only puts on record that it is used up.'
              : 'Nothing bounds what model calls cost. People with the role BILLING set budgets.'}
          </Empty>
        }
      >
        {(budgets) => (
          <Rows label="Budgets">
            {budgets.map((budget) => (
              <BudgetRow
                key={budget.id}
                budget={budget}
                holder={holderName(budget)}
                onEdit={() => setEditing(budget)}
                onDelete={() => setDeleting(budget)}
              />
            ))}
          </Rows>
        )}
      </Paged>
      {editing !== undefined && <BudgetDialog budget={editing === 'new' ? undefined : editing} onClose={() => setEditing(undefined)} />}
      {deleting !== undefined && (
        <ConfirmDialog
          title={`Take away the budget of ${holderName(deleting)}?`}
          action="Take it away"
          run={() => api.call('budgetDelete', { params: { org, budget: deleting.id } })}
          changes={['budgets', org]}
          onClose={() => setDeleting(undefined)}
        >
          Nothing of it bounds calls from then on. What it knows is spent goes with it; the rows of the calls stay.
        </ConfirmDialog>
      )}
    </Section>
  )
}

/** Whom a budget bounds, by name where the name is at hand: of this environment's keys, and of the organization's projects. */
function useHolderNames(): (budget: Budget) => string {
  const place = usePlace()
  const keys = useQuery(recentKeysQuery(place))
  const projects = useQuery(projectsQuery(place.org))
  const named = new Map([...(keys.data?.data ?? []), ...(projects.data ?? [])].map(({ id, name }) => [id, name]))
  return ({ project, key }) => {
    if (key !== null) return `key ${named.get(key) ?? key}`
    return project === null ? 'the organization' : `project ${named.get(project) ?? project}`
  }
}

interface BudgetRowProps {
  readonly budget: Budget
  readonly holder: string
  readonly onEdit: () => void
  readonly onDelete: () => void
}

function BudgetRow({ budget, holder, onEdit, onDelete }: BudgetRowProps) {
  const may = useMay()
  const { amount_usd: amount, period, enforcement, spent_usd: spent, held_usd: held, period_starts_on: since } = budget
  const usedUp = Number(spent) >= Number(amount)
  return (
    <Row>
      <div className="min-w-0 flex-1 basis-72">
        <p className="flex flex-wrap items-center gap-x-3 gap-y-1">
          <span className="inline-block font-semibold break-words first-letter:uppercase">{holder}</span>
          {usedUp ? <Badge tone="bad">Used up</Badge> : <Badge tone="good">Has room</Badge>}
        </p>
        <p className="mt-0.5 text-sm">
          {dollars(amount)} {PERIOD_WORDS[period]}. {ENFORCEMENT_WORDS[enforcement]}
          {enforcement === 'hard' && budget.unpriced === 'pass' && ', but those without a known price go out'}.
        </p>
        <Bar {...filled(budget)} />
        <p className="mt-1 text-sm text-dim">
          {dollars(spent)} spent{period !== 'total' && ` since ${since}`}, {dollars(held)} set aside
        </p>
      </div>
      <div className="flex gap-2">
        {may('budgetUpdate') && (
          <Button onClick={onEdit} aria-label={`Change the budget of ${holder}`}>
            Change
          </Button>
        )}
        {may('budgetDelete') && (
          <Button look="danger" onClick={onDelete} aria-label={`Take away the budget of ${holder}`}>
            Take away
          </Button>
        )}
      </div>
    </Row>
  )
}

/** Decoration: the words below it say the same. */
function Bar({ spent, held }: { readonly spent: number; readonly held: number }) {
  return (
    <svg
      viewBox="0 0 100 4"
      preserveAspectRatio="none"
      aria-hidden="true"
      className="mt-2 h-2 w-full max-w-md overflow-hidden rounded-full bg-sunken"
    >
      <rect width={spent} height="4" className="fill-act" />
      <rect x={spent} width={held} height="4" className="fill-act" opacity="0.4" />
    </svg>
  )
}
