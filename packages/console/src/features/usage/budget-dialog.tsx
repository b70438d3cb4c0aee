/** Setting a budget, or changing what one allows. Whom it bounds and for how long stays as it was set. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { SubmitEvent } from 'react'
import { api } from '../../api/client.ts'
import { recentKeysQuery } from '../../api/queries.ts'
import type { Budget } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice } from '../../ui/notice.tsx'
import { ENFORCEMENT_WORDS, PERIOD_WORDS, UNPRICED_WORDS } from './budget-words.ts'

const HOLDER = { organization: 'organization', project: 'project' } as const

type Terms = Pick<Budget, 'amount_usd' | 'enforcement' | 'unpriced'>
type NewBudget = Terms & { period: Budget['period']; project?: string; key?: string }

export function BudgetDialog({ budget, onClose }: { readonly budget: Budget | undefined; readonly onClose: () => void }) {
  return (
    <Dialog title={budget === undefined ? 'Set a budget' : 'Change the budget'} onClose={onClose}>
      <BudgetForm budget={budget} onClose={onClose} />
    </Dialog>
  )
}

function BudgetForm({ budget, onClose }: { readonly budget: Budget | undefined; readonly onClose: () => void }) {
  const place = usePlace()
  const queries = useQueryClient()
  const [enforcement, setEnforcement] = useState(budget?.enforcement ?? 'hard')
  const save = useMutation({
    mutationFn: ({ terms, made }: { terms: Terms; made: NewBudget }) =>
      budget === undefined
        ? api.call('budgetCreate', { params: { org: place.org }, body: made })
        : api.call('budgetUpdate', { params: { org: place.org, budget: budget.id }, body: terms }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['budgets', place.org] })
      onClose()
    },
  })
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const terms: Terms = {
      amount_usd: textOf(form, 'amount').trim(),
      enforcement,
      unpriced: textOf(form, 'unpriced') === 'pass' ? 'pass' : 'refuse',
    }
    save.mutate({ terms, made: { ...terms, period: periodOf(textOf(form, 'period')), ...holderOf(textOf(form, 'holder'), place.project) } })
  }
  return (
    <form onSubmit={submit}>
      {budget === undefined && <Holder />}
      <TextField
        name="amount"
        label="US dollars"
        hint="Like 25 or 0.50"
        inputMode="decimal"
        pattern="\d{1,7}(?:\.\d{1,9})?"
        title="Digits, and a point before cents"
        defaultValue={budget?.amount_usd}
        required
      />
      {budget === undefined && (
        <SelectField name="period" label="Each" defaultValue="month">
          {Object.entries(PERIOD_WORDS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </SelectField>
      )}
      <SelectField
        label="When it is used up"
        value={enforcement}
        onChange={({ target }) => setEnforcement(target.value === 'warn' ? 'warn' : 'hard')}
      >
        {Object.entries(ENFORCEMENT_WORDS).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </SelectField>
      {enforcement === 'hard' && (
        <SelectField
          name="unpriced"
          label="Calls whose cost can’t be told beforehand"
          hint="Models without a known price, and what is not charged by tokens."
          defaultValue={budget?.unpriced ?? 'refuse'}
        >
          {Object.entries(UNPRICED_WORDS).map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </SelectField>
      )}
      {save.error !== null && <FailureNotice error={save.error} />}
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={save.isPending}>
          {budget === undefined ? 'Set it' : 'Change it'}
        </Button>
      </DialogActions>
    </form>
  )
}

function Holder() {
  const place = usePlace()
  const { data } = useQuery(recentKeysQuery(place))
  const keys = data?.data.filter(({ revoked_at: revoked }) => revoked === null) ?? []
  return (
    <SelectField name="holder" label="Bounds the calls">
      <option value={HOLDER.organization}>of the whole organization</option>
      <option value={HOLDER.project}>of this project, both environments</option>
      {keys.map(({ id, name }) => (
        <option key={id} value={id}>
          with the key {name}
        </option>
      ))}
    </SelectField>
  )
}

function holderOf(chosen: string, project: string): { project?: string; key?: string } {
  if (chosen === HOLDER.organization) return {}
  return chosen === HOLDER.project ? { project } : { key: chosen }
}

function periodOf(chosen: string): Budget['period'] {
  return chosen === 'day' || chosen === 'total' ? chosen : 'month'
}
