/** The organization's audit events, and the proof that none was changed. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { api } from '../../api/client.ts'
import { auditPages } from '../../api/queries.ts'
import type { AuditEvent, AuditVerification } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button } from '../../ui/button.tsx'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Empty, Page } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { Moment } from '../../ui/time.tsx'

export function AuditScreen() {
  const { org } = usePlace()
  const queries = useQueryClient()
  const pages = auditPages(org)
  const verify = useMutation({
    mutationFn: () => api.call('auditVerify', { params: { org } }),
    // The proof is over the newest events too: show them beside it.
    onSuccess: () => queries.resetQueries({ queryKey: pages.queryKey }),
  })
  const button = (
    <Button look="primary" busy={verify.isPending} onClick={() => verify.mutate()}>
      Verify
    </Button>
  )
  return (
    <Page
      title="Audit"
      about="Everything done in this organization, in both environments, newest first. Each event carries a hash over the one before it."
      actions={button}
    >
      {verify.error !== null && <FailureNotice error={verify.error} />}
      {verify.data !== undefined && <Verification result={verify.data} />}
      <Paged
        pages={pages}
        empty={<Empty title="No event yet">Whatever is changed or used in this organization is written down here.</Empty>}
      >
        {(events) => <AuditList events={events} />}
      </Paged>
    </Page>
  )
}

function Verification({ result: { intact, events, head, first_fault: fault } }: { readonly result: AuditVerification }) {
  if (intact) {
    return (
      <Notice tone="good" title={`The chain is intact: ${events} events, from the first to the newest.`}>
        {head !== null && (
          <p>
            Newest hash <code className="font-mono break-all">{head}</code>
          </p>
        )}
      </Notice>
    )
  }
  return (
    <Notice tone="bad" title={`The chain is broken${fault === null ? '' : ` at event ${fault.seq}`}.`}>
      {fault !== null && <p>{fault.reason}</p>}
      <p>Events before it are sound. Keep the database as it is and compare it with a backup.</p>
    </Notice>
  )
}

function AuditList({ events }: { readonly events: readonly AuditEvent[] }) {
  return (
    <ol aria-label="Audit events, newest first" className="divide-y divide-line rounded-2xl border border-line bg-card">
      {events.map((event) => (
        <AuditRow key={event.seq} event={event} />
      ))}
    </ol>
  )
}

function AuditRow({ event }: { readonly event: AuditEvent }) {
  const { seq, at, action, actor, target, detail, personal, prev_hash: previous, hash } = event
  return (
    <li>
      <details className="group">
        <summary className="grid list-none gap-x-4 gap-y-0.5 px-5 py-3 text-sm hover:bg-sunken sm:grid-cols-[4rem_minmax(0,1fr)_auto] [&::-webkit-details-marker]:hidden">
          <span className="text-dim tabular-nums">#{seq}</span>
          <span className="min-w-0">
            <span className="font-semibold break-words">{action}</span>
            <span className="block font-mono text-xs break-all text-dim">
              {actor} → {target}
            </span>
          </span>
          <span className="text-dim">
            <Moment at={at} />
          </span>
        </summary>
        <dl className="grid gap-x-4 gap-y-0.5 bg-sunken px-5 py-4 text-sm sm:gap-y-2 sm:grid-cols-[8rem_minmax(0,1fr)]">
          <dt className="text-dim max-sm:mt-2">Detail</dt>
          <dd>
            <pre className="font-mono text-xs break-all whitespace-pre-wrap">{JSON.stringify(detail, null, 2)}</pre>
          </dd>
          {personal !== null && (
            <>
              <dt className="text-dim max-sm:mt-2">Person</dt>
              <dd>
                {personal.facts === null ? (
                  <span className="text-dim">was forgotten</span>
                ) : (
                  <pre className="font-mono text-xs break-all whitespace-pre-wrap">{JSON.stringify(personal.facts, null, 2)}</pre>
                )}
              </dd>
            </>
          )}
          <dt className="text-dim max-sm:mt-2">Previous hash</dt>
          <dd className="font-mono text-xs break-all">{previous}</dd>
          <dt className="text-dim max-sm:mt-2">Hash</dt>
          <dd className="font-mono text-xs break-all">{hash}</dd>
        </dl>
      </details>
    </li>
  )
}
