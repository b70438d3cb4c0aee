/**
 * Owns the posts of a Reddit account and of a subreddit. https://www.reddit.com/dev/api
 * An account's own lists stand under its name, which is asked for first.
 */
import { cursor, jsonOf, listOf, walk } from './connector.ts'
import type { CollectionOptions, Connector, ConnectorAnswer, ConnectorRequest, Page } from './connector.ts'
import { ConnectorError } from './errors.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'

const NAME = /^[\w-]{1,64}$/u

/** `posts` are the account's own, or with `subreddit` the newest there. */
export const reddit: Connector = { id: 'reddit', collections: { posts } }

async function* posts(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const { subreddit, ...input } = options.input ?? {}
  if (subreddit !== undefined && !NAME.test(subreddit)) throw new ConnectorError('collection_input_invalid', 'subreddit is malformed')
  const path = subreddit === undefined ? `/user/${await ownName(request)}/submitted` : `/r/${subreddit}/new`
  // Without raw_json, texts come with &lt; and &amp; in them.
  yield* walk(request, { method: 'GET', path, query: { limit: '100', raw_json: '1', ...input } }, options, page)
}

async function ownName(request: ConnectorRequest): Promise<string> {
  const answer = await request({ method: 'GET', path: '/api/v1/me', query: { raw_json: '1' } })
  const name = at(await jsonOf(answer), ['name'])
  if (typeof name === 'string' && NAME.test(name)) return name
  throw new ConnectorError('collection_unreadable', 'the account has no usable name', { status: answer.status })
}

async function page(answer: ConnectorAnswer): Promise<Page> {
  const body = await jsonOf(answer)
  return { items: listOf(at(body, ['data', 'children'])).map(postOf), next: cursor('after', at(body, ['data', 'after'])) }
}

function postOf(raw: unknown): Item {
  const link = at(raw, ['data', 'permalink'])
  return itemOf('post', raw, {
    id: ['data', 'name'],
    title: ['data', 'title'],
    text: ['data', 'selftext'],
    author: ['data', 'author'],
    url: { value: typeof link === 'string' ? `https://www.reddit.com${link.startsWith('/') ? '' : '/'}${link}` : link },
    createdAt: ['data', 'created_utc'],
    // False for what was not edited.
    updatedAt: { value: at(raw, ['data', 'edited']) || null },
  })
}
