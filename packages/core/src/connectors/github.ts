/** Owns GitHub's lists. Pages follow each other by the Link header: https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api */
import { jsonOf, listOf, walk } from './connector.ts'
import type { Collection, CollectionOptions, Connector, ConnectorAnswer, Page } from './connector.ts'
import { itemOf } from './item.ts'
import type { ItemKind, Places } from './item.ts'

const HEADERS = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' }
const MAX_LINK = 16_384

const REPOSITORY: Places = {
  id: ['id'],
  title: ['full_name'],
  text: ['description'],
  url: ['html_url'],
  author: ['owner', 'login'],
  createdAt: ['created_at'],
  updatedAt: ['updated_at'],
}
const ISSUE: Places = {
  id: ['id'],
  title: ['title'],
  text: ['body'],
  url: ['html_url'],
  author: ['user', 'login'],
  createdAt: ['created_at'],
  updatedAt: ['updated_at'],
}
/** Its links lead to the API, not to a page for people. */
const NOTIFICATION: Places = {
  id: ['id'],
  title: ['subject', 'title'],
  url: ['repository', 'html_url'],
  author: ['repository', 'full_name'],
  updatedAt: ['updated_at'],
}

/** `input` goes into the query as it is: `sort`, `since`, `filter`, `state`. */
export const github: Connector = {
  id: 'github',
  collections: {
    repositories: list('/user/repos', 'repository', REPOSITORY),
    starred: list('/user/starred', 'repository', REPOSITORY),
    issues: list('/issues', 'issue', ISSUE),
    notifications: list('/notifications', 'notification', NOTIFICATION),
  },
}

function list(path: string, kind: ItemKind, places: Places): Collection {
  return (request, options: CollectionOptions = {}) =>
    walk(request, { method: 'GET', path, query: { per_page: '100', ...options.input }, headers: HEADERS }, options, (answer) =>
      page(answer, kind, places),
    )
}

async function page(answer: ConnectorAnswer, kind: ItemKind, places: Places): Promise<Page> {
  // Nothing new since the caller's own condition.
  if (answer.status === 304) return { items: [] }
  const items = listOf(await jsonOf(answer)).map((raw) => itemOf(kind, raw, places))
  return { items, next: nextOf(answer.headers.get('link')) }
}

/** Only the query of the next page is taken: where calls go is not the answer's to say (RFC 8288 section 3). */
function nextOf(link: string | null): Page['next'] {
  if (link === null || link.length > MAX_LINK) return undefined
  for (const part of link.split(',')) {
    const [, target, parameters] = /^\s*<([^<>]*)>(.*)$/su.exec(part) ?? []
    if (target === undefined || !/;\s*rel="?next"?\s*(?:;|$)/u.test(parameters ?? '')) continue
    return URL.canParse(target) ? Object.fromEntries(new URL(target).searchParams) : undefined
  }
  return undefined
}
