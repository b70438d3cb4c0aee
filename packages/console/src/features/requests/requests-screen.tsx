/** Calls that went out through the gateway, newest first. */
import { useIsFetching, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { requestPages } from '../../api/queries.ts'
import { usePlace } from '../../app/place.ts'
import { Button, buttonClasses } from '../../ui/button.tsx'
import { Empty, Page } from '../../ui/page.tsx'
import { Paged } from '../../ui/paged.tsx'
import { RequestTable } from './request-table.tsx'

export function RequestsScreen() {
  const place = usePlace()
  const queries = useQueryClient()
  const pages = requestPages(place)
  const fetching = useIsFetching({ queryKey: pages.queryKey }) > 0
  const refresh = (
    <Button busy={fetching} onClick={() => void queries.resetQueries({ queryKey: pages.queryKey })}>
      Refresh
    </Button>
  )
  return (
    <Page title="Requests" about="Calls that went out, newest first. Queries, headers and bodies are not kept." actions={refresh}>
      <Paged
        pages={pages}
        empty={
          <Empty
            title="No call has gone out yet"
            action={
              <Link to="/$org/$project/$environment/keys" params={place} className={buttonClasses('primary')}>
                Create a key
              </Link>
            }
          >
            Create a key, then run the curl line that comes with it. The call appears here.
          </Empty>
        }
      >
        {(requests) => <RequestTable label="Requests, newest first" requests={requests} />}
      </Paged>
    </Page>
  )
}
