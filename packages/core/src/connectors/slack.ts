/**
 * Owns the messages of a Slack conversation. https://docs.slack.dev/reference/methods/conversations.history
 * Slack says no with status 200 and `ok: false`: that is a refusal here as anywhere.
 */
import { cursor, jsonOf, listOf, required, walk } from './connector.ts'
import type { CollectionOptions, Connector, ConnectorAnswer, ConnectorRequest, Page } from './connector.ts'
import { ConnectorError } from './errors.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'

/** `messages` takes `channel`, and `oldest` and `latest`. The same for both ways of connecting. */
export const slack: Connector = { id: 'slack', collections: { messages } }
export const slackUser: Connector = { ...slack, id: 'slack-user' }

function messages(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const channel = required(options.input, 'channel', /^[A-Z][A-Z0-9]{1,31}$/u)
  const query = { limit: '200', ...options.input, channel }
  return walk(posting(request), { method: 'POST', reads: true, path: '/conversations.history', query }, options, page)
}

/** Arguments go as a form: https://docs.slack.dev/apis/web-api/#methods. */
function posting(request: ConnectorRequest): ConnectorRequest {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  return async ({ query, ...call }) => await request({ ...call, headers, body: new URLSearchParams(query).toString() })
}

async function page(answer: ConnectorAnswer): Promise<Page> {
  const body = await jsonOf(answer)
  if (at(body, ['ok']) !== true)
    throw new ConnectorError('collection_refused', 'Slack refuses', { status: answer.status, reason: at(body, ['error']) })
  return {
    items: listOf(at(body, ['messages'])).map(messageOf),
    next: cursor('cursor', at(body, ['response_metadata', 'next_cursor'])),
  }
}

/** A message's time is its id within the conversation. */
function messageOf(raw: unknown): Item {
  return itemOf('message', raw, {
    id: ['ts'],
    text: ['text'],
    author: { value: at(raw, ['user']) ?? at(raw, ['bot_id']) },
    createdAt: ['ts'],
    updatedAt: ['edited', 'ts'],
  })
}
