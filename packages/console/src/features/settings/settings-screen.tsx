/** What an organization has settled about prompts and answers: whether they are kept, for how long, and who read them. */
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import type { SubmitEvent } from 'react'
import { ROLE_CONTAINS, SETTING_ROLES } from '@sallyport/contract'
import { api } from '../../api/client.ts'
import { contentReadingPages, settingsQuery } from '../../api/queries.ts'
import type { AuditEvent, SettingsInForce } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { useMay, useRole } from '../../app/role.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Card, Loading, Page, Row, Rows, Section } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'

const KEPT = [
  ['store_prompts', 'Keep prompts', 'What is sent to models, as it went to the provider.'],
  ['store_responses', 'Keep answers', 'What models answer, as it came from the provider.'],
] as const

export function SettingsScreen() {
  const { org } = usePlace()
  const { data, error, isPending } = useQuery(settingsQuery(org))
  return (
    <Page title="Settings" about="What holds for the whole organization.">
      {isPending && <Loading />}
      {error !== null && <FailureNotice error={error} />}
      {data !== undefined && <StoredPrompts key={org} inForce={data} />}
      {data !== undefined && <Readings />}
    </Page>
  )
}

function StoredPrompts({ inForce }: { readonly inForce: SettingsInForce }) {
  const { org } = usePlace()
  const role = useRole()
  const queries = useQueryClient()
  const save = useMutation({
    mutationFn: (body: { store_prompts: boolean; store_responses: boolean; stored_content_days: number }) =>
      api.call('settingsUpdate', { params: { org }, body }),
    onSuccess: (settled) => queries.setQueryData(settingsQuery(org).queryKey, settled),
  })
  const mayChange = role !== undefined && ROLE_CONTAINS[role].includes(SETTING_ROLES.store_prompts)
  const { settings, chosen } = inForce
  const keeping = settings.store_prompts || settings.store_responses
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    save.mutate({
      store_prompts: form.has('store_prompts'),
      store_responses: form.has('store_responses'),
      stored_content_days: Number(textOf(form, 'days')),
    })
  }
  return (
    <Section
      title="Stored prompts"
      about="Nothing of a prompt or an answer is kept unless it is asked for here. What is kept is sealed under the organization’s data key, read by administrators with a second factor alone, and removed when its days are over."
      actions={<Badge tone={keeping ? 'warn' : 'good'}>{keeping ? 'Something is kept' : 'Nothing is kept'}</Badge>}
    >
      {!mayChange && (
        <Notice tone="plain">
          <p>An owner of the organization can change this.</p>
        </Notice>
      )}
      {save.error !== null && <FailureNotice error={save.error} />}
      {save.isSuccess && <Notice tone="good" title="It holds from the next call on." />}
      <form onSubmit={submit}>
        <Card className="px-5 py-4">
          <fieldset disabled={!mayChange} className="space-y-3">
            <legend className="sr-only">What is kept of model calls</legend>
            {KEPT.map(([name, label, about]) => (
              <label key={name} className="flex items-start gap-3">
                <input type="checkbox" name={name} defaultChecked={settings[name]} className="mt-1 size-4 shrink-0 accent-act" />
                <span>
                  <span className="block font-semibold">{label}</span>
                  <span className="block text-sm text-dim">
                    {about} <ChosenBy chosen={chosen.find((one) => one.name === name)} />
                  </span>
                </span>
              </label>
            ))}
            <div className="max-w-xs">
              <TextField
                name="days"
                label="Days"
                hint="How long, from 1 to 365; of what is kept from now on."
                type="number"
                min={1}
                max={365}
                defaultValue={settings.stored_content_days}
                required
              />
            </div>
          </fieldset>
          {mayChange && (
            <div className="flex justify-end">
              <Button type="submit" look="primary" busy={save.isPending}>
                Save
              </Button>
            </div>
          )}
        </Card>
      </form>
    </Section>
  )
}

function ChosenBy({ chosen }: { readonly chosen: SettingsInForce['chosen'][number] | undefined }) {
  if (chosen === undefined) return null
  return (
    <>
      Settled by <span className="font-mono break-all">{chosen.by}</span>, <Moment at={chosen.at} />.
    </>
  )
}

function Readings() {
  const { org } = usePlace()
  const may = useMay()
  if (!may('auditEventList')) return null
  return (
    <Section title="Who read them" about="Each reading is on record before anything is shown.">
      <Paged
        pages={contentReadingPages(org)}
        empty={<Card className="px-5 py-4 text-sm text-dim">Nobody has read a stored prompt or answer.</Card>}
      >
        {(events) => (
          <Rows label="Readings of stored prompts, newest first">
            {events.map((event) => (
              <Reading key={event.seq} event={event} />
            ))}
          </Rows>
        )}
      </Paged>
    </Section>
  )
}

function Reading({ event: { at, actor, target } }: { readonly event: AuditEvent }) {
  return (
    <Row>
      <p className="min-w-0 flex-1 basis-72 text-sm">
        <span className="font-mono break-all">{actor}</span> read <span className="font-mono break-all">{target}</span>
      </p>
      <p className="text-sm text-dim">
        <Moment at={at} />
      </p>
    </Row>
  )
}
