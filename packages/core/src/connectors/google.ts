/**
 * Owns Gmail's messages and the events of Google Calendar. https://developers.google.com/workspace/gmail/api/reference/rest/v1/users.messages
 * A list of messages has ids only: each is read on its own when it is asked for, headers and a snippet alone.
 */
import { jsonOf, limitOf, listOf, walk } from './connector.ts'
import type { CollectionOptions, Connector, ConnectorAnswer, ConnectorCall, ConnectorRequest, Page } from './connector.ts'
import { ConnectorError } from './errors.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'

const MESSAGES = '/gmail/v1/users/me/messages'
const ID = /^[\w-]{1,128}$/u

/** `mail` takes `q` and `labelIds`; `events` takes `calendarId` (`primary`), `timeMin`, `timeMax` and what else the list knows. */
export const google: Connector = {
  id: 'google',
  collections: { mail, events },
}

async function* mail(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const first: ConnectorCall = { method: 'GET', path: MESSAGES, query: { maxResults: String(pageSize(options)), ...options.input } }
  for await (const listed of walk(request, first, options, (answer) =>
    page(answer, 'messages', (raw) => itemOf('message', raw, { id: ['id'] })),
  )) {
    // What has no usable id can't be read: it stays what the list said.
    yield listed.id === null || !ID.test(listed.id) ? listed : await message(request, listed)
  }
}

async function message(request: ConnectorRequest, listed: Item): Promise<Item> {
  const query = { format: 'metadata' }
  const answer = await request({ method: 'GET', path: `${MESSAGES}/${listed.id}`, query })
  // Deleted between the list and now.
  if (answer.status === 404) return listed
  const raw = await jsonOf(answer)
  const url = { value: `https://mail.google.com/mail/#all/${listed.id}` }
  return itemOf('message', raw, {
    id: ['id'],
    title: { value: header(raw, 'subject') },
    author: { value: header(raw, 'from') },
    text: ['snippet'],
    url,
    createdAt: ['internalDate'],
  })
}

function header(raw: unknown, wanted: string): unknown {
  const headers = at(raw, ['payload', 'headers'])
  if (!Array.isArray(headers)) return null
  const found = headers.find((one: unknown) => {
    const name = at(one, ['name'])
    return typeof name === 'string' && name.toLowerCase() === wanted
  })
  return at(found, ['value'])
}

function events(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const { calendarId = 'primary', ...input } = options.input ?? {}
  if (calendarId === '' || /^\.+$/u.test(calendarId)) throw new ConnectorError('collection_input_invalid', 'calendarId is malformed')
  const path = `/calendar/v3/calendars/${encodeURIComponent(calendarId)}/events`
  return walk(request, { method: 'GET', path, query: { maxResults: String(pageSize(options)), ...input } }, options, (answer) =>
    page(answer, 'items', eventOf),
  )
}

function eventOf(raw: unknown): Item {
  return itemOf('event', raw, {
    id: ['id'],
    title: ['summary'],
    text: ['description'],
    url: ['htmlLink'],
    author: ['organizer', 'email'],
    createdAt: ['created'],
    updatedAt: ['updated'],
    startsAt: { value: at(raw, ['start', 'dateTime']) ?? at(raw, ['start', 'date']) },
    endsAt: { value: at(raw, ['end', 'dateTime']) ?? at(raw, ['end', 'date']) },
  })
}

/** A page without the list is an empty one here: Gmail leaves it out when nothing is found. */
async function page(answer: ConnectorAnswer, name: string, read: (raw: unknown) => Item): Promise<Page> {
  const body = await jsonOf(answer)
  const token = at(body, ['nextPageToken'])
  return {
    items: listOf(at(body, [name]) ?? []).map(read),
    next: typeof token === 'string' && token !== '' ? { pageToken: token } : undefined,
  }
}

function pageSize(options: CollectionOptions): number {
  return Math.min(100, Math.max(1, limitOf(options)))
}
