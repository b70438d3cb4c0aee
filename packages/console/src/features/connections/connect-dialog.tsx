/**
 * Connecting one account: choose the integration and whose account it is, go through the hosted page in a tab of its own, and see here how it
 * ended. The link works in this browser's session only, so it is opened and not handed on.
 */
import { useMutation, useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import type { SubmitEvent } from 'react'
import { api } from '../../api/client.ts'
import { connectionQuery, connectSessionQuery, integrationsQuery, whoamiQuery } from '../../api/queries.ts'
import type { Connection, ConnectSession } from '../../api/resources.ts'
import { usePlace } from '../../app/place.ts'
import { Button, buttonClasses, ButtonLink } from '../../ui/button.tsx'
import { Dialog, DialogActions } from '../../ui/dialog.tsx'
import { SelectField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'
import { FailureNotice, Notice } from '../../ui/notice.tsx'
import { Loading } from '../../ui/page.tsx'
import { STATUS_WORDS } from './status.ts'

interface Begun {
  readonly session: ConnectSession
  readonly link: string
}

interface ConnectDialogProps {
  /** The connection to connect again; absent: a new one. */
  readonly again: Connection | undefined
  readonly onClose: () => void
}

export function ConnectDialog({ again, onClose }: ConnectDialogProps) {
  const [begun, setBegun] = useState<Begun>()
  return (
    <Dialog title={again === undefined ? 'Connect an account' : 'Connect again'} onClose={onClose}>
      {begun === undefined ? (
        <Begin again={again} onBegun={setBegun} onClose={onClose} />
      ) : (
        <Progress begun={begun} onAgain={() => setBegun(undefined)} onClose={onClose} />
      )}
    </Dialog>
  )
}

function Begin({ again, onBegun, onClose }: ConnectDialogProps & { readonly onBegun: (begun: Begun) => void }) {
  const place = usePlace()
  const { data: person } = useSuspenseQuery(whoamiQuery)
  const integrations = useQuery(integrationsQuery(place))
  const begin = useMutation({
    mutationFn: (body: { integration: string; end_user_id: string; connection?: string }) =>
      api.call('connectSessionCreate', { params: place, body }),
    onSuccess: (made) => {
      window.open(made.link, '_blank', 'noopener,noreferrer')
      onBegun(made)
    },
  })
  if (integrations.isPending) return <Loading />
  if (integrations.error !== null) return <FailureNotice error={integrations.error} />
  if (integrations.data.length === 0) return <NoIntegration />
  const submit = (event: SubmitEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const connection = again === undefined ? {} : { connection: again.id }
    begin.mutate({ integration: textOf(form, 'integration'), end_user_id: textOf(form, 'end_user'), ...connection })
  }
  return (
    <form onSubmit={submit}>
      {again === undefined ? (
        <>
          <SelectField name="integration" label="Integration">
            {integrations.data.map(({ id, slug, provider }) => (
              <option key={id} value={slug}>
                {slug === provider ? slug : `${slug} (${provider})`}
              </option>
            ))}
          </SelectField>
          <TextField
            name="end_user"
            label="End user"
            hint="Your application’s own id of the person whose account this is. To try it out, keep your own."
            defaultValue={person?.id ?? ''}
            required
            maxLength={255}
            mono
          />
        </>
      ) : (
        <>
          <input type="hidden" name="integration" value={again.integration} />
          <input type="hidden" name="end_user" value={again.end_user_id} />
          <p className="mb-4">
            Sign in at the provider as{' '}
            <strong className="font-semibold">{again.account?.label ?? again.account?.id ?? again.end_user_id}</strong>. The connection
            keeps its id, so nothing changes for the application.
          </p>
        </>
      )}
      {begin.error !== null && <FailureNotice error={begin.error} />}
      <p className="text-sm text-dim">The next page opens in a new tab. It says what is asked for before anything happens.</p>
      <DialogActions>
        <Button onClick={onClose}>Cancel</Button>
        <Button type="submit" look="primary" busy={begin.isPending}>
          Continue
        </Button>
      </DialogActions>
    </form>
  )
}

function NoIntegration() {
  const place = usePlace()
  return (
    <>
      <p className="mb-5">
        An account is connected through an integration: your own client at a provider. There is none in this environment yet.
      </p>
      <Link to="/$org/$project/$environment/integrations" params={place} className={buttonClasses('primary')}>
        Add an integration
      </Link>
    </>
  )
}

interface ProgressProps {
  readonly begun: Begun
  readonly onAgain: () => void
  readonly onClose: () => void
}

function Progress({ begun, onAgain, onClose }: ProgressProps) {
  const place = usePlace()
  const queries = useQueryClient()
  const { data, error, dataUpdatedAt } = useQuery({
    ...connectSessionQuery(place, begun.session.id),
    initialData: begun.session,
    initialDataUpdatedAt: 0,
  })
  const { status, failure } = data
  useEffect(() => {
    if (status === 'completed') void queries.invalidateQueries({ queryKey: ['connections', place] })
  }, [status])
  if (status === 'completed' && data.connection !== null) return <Completed connection={data.connection} onClose={onClose} />
  const late = dataUpdatedAt > Date.parse(data.expires_at)
  if (status === 'failed' || late) return <Failed failure={failure} onAgain={onAgain} onClose={onClose} />
  return (
    <>
      <Notice tone="plain" title="Waiting for you in the other tab">
        <p>Continue to the provider there and allow access. This notices by itself when you are done.</p>
      </Notice>
      {error !== null && <FailureNotice error={error} />}
      <p className="text-sm text-dim">
        No tab opened? Your browser may have blocked it. The link works for ten minutes, in this browser only.
      </p>
      <DialogActions>
        <Button onClick={onClose}>Close</Button>
        <ButtonLink look="primary" href={begun.link}>
          Open the connect page
        </ButtonLink>
      </DialogActions>
    </>
  )
}

function Completed({ connection, onClose }: { readonly connection: string; readonly onClose: () => void }) {
  const { data, error } = useQuery(connectionQuery(usePlace(), connection))
  if (error !== null) return <FailureNotice error={error} />
  if (data === undefined) return <Loading />
  const { todo } = STATUS_WORDS[data.status]
  return (
    <>
      {todo === undefined ? (
        <Notice tone="good" title="The account is connected">
          <p>Calls can go out with it now, by any key of this environment that may use it.</p>
        </Notice>
      ) : (
        <Notice tone="warn" title="The account is connected, but not all is well">
          <p>{todo}</p>
          {data.missing_scopes.length > 0 && (
            <p>
              Missing: <span className="font-mono break-all">{data.missing_scopes.join(', ')}</span>
            </p>
          )}
        </Notice>
      )}
      <DialogActions>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </DialogActions>
    </>
  )
}

/** Words for the ends that people bring about themselves; every other end is named by its code. */
const FAILURES: Readonly<Record<string, string>> = {
  connect_denied: 'Access was refused at the provider.',
  connect_user_mismatch: 'Another account signed in at the provider than the one this connection belongs to.',
  connect_exchange_failed: 'The provider did not accept the client: compare its client id, secret and redirect URI with the integration.',
}

function Failed({
  failure,
  onAgain,
  onClose,
}: {
  readonly failure: string | null
  readonly onAgain: () => void
  readonly onClose: () => void
}) {
  return (
    <>
      <Notice tone="bad" title="The account was not connected">
        <p>
          {failure === null
            ? 'The link ran out before the connection was made.'
            : (FAILURES[failure] ?? 'Something on the way was refused.')}
        </p>
        {failure !== null && (
          <p>
            Code <code className="font-mono">{failure}</code>
          </p>
        )}
      </Notice>
      <DialogActions>
        <Button onClick={onClose}>Close</Button>
        <Button look="primary" onClick={onAgain}>
          Begin again
        </Button>
      </DialogActions>
    </>
  )
}
