/** Owns mail and calendar of Microsoft Graph. Pages: https://learn.microsoft.com/en-us/graph/paging */
import { jsonOf, listOf, walk } from './connector.ts'
import type { Collection, Connector, ConnectorAnswer, Page } from './connector.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'

/** `input` goes into the query as it is: `$filter`, `$orderby`, `$select`. */
export const microsoft: Connector = {
  id: 'microsoft',
  collections: { mail: list('/me/messages', mailOf), events: list('/me/events', eventOf) },
}

function list(path: string, read: (raw: unknown) => Item): Collection {
  // Times of events are given in the zone that is asked for.
  const headers = { prefer: 'outlook.timezone="UTC"' }
  return (request, options = {}) =>
    walk(request, { method: 'GET', path, query: { $top: '50', ...options.input }, headers }, options, (answer) => page(answer, read))
}

async function page(answer: ConnectorAnswer, read: (raw: unknown) => Item): Promise<Page> {
  const body = await jsonOf(answer)
  const link = at(body, ['@odata.nextLink'])
  // Only the query is taken: where calls go is not the answer's to say.
  const next = typeof link === 'string' && URL.canParse(link) ? Object.fromEntries(new URL(link).searchParams) : undefined
  return { items: listOf(at(body, ['value'])).map(read), next }
}

function mailOf(raw: unknown): Item {
  return itemOf('message', raw, {
    id: ['id'],
    title: ['subject'],
    text: ['bodyPreview'],
    url: ['webLink'],
    author: ['from', 'emailAddress', 'address'],
    createdAt: ['receivedDateTime'],
    updatedAt: ['lastModifiedDateTime'],
  })
}

function eventOf(raw: unknown): Item {
  return itemOf('event', raw, {
    id: ['id'],
    title: ['subject'],
    text: ['bodyPreview'],
    url: ['webLink'],
    author: ['organizer', 'emailAddress', 'address'],
    createdAt: ['createdDateTime'],
    updatedAt: ['lastModifiedDateTime'],
    startsAt: { value: utc(raw, 'start') },
    endsAt: { value: utc(raw, 'end') },
  })
}

/** `dateTime` has no zone of its own: `timeZone` beside it says which. Another zone than the one asked for is no time that can be read. */
function utc(raw: unknown, name: string): unknown {
  const [time, zone] = [at(raw, [name, 'dateTime']), at(raw, [name, 'timeZone'])]
  if (time === undefined) return null
  return typeof time === 'string' && zone === 'UTC' && /^[\d-]{10}T[\d:.]{5,16}$/u.test(time) ? `${time.slice(0, 23)}Z` : Number.NaN
}
