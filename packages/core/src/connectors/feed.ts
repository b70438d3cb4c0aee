/**
 * Owns the entries of a feed: RSS 2.0 (https://www.rssboard.org/rss-specification), Atom (RFC 4287) and JSON Feed 1.1
 * (https://www.jsonfeed.org/version/1.1/). Which it is, its content says. Refuses feeds that are larger than feeds are.
 */
import { bodyOf, limitOf, listOf } from './connector.ts'
import type { CollectionOptions, Connector, ConnectorRequest } from './connector.ts'
import { ConnectorError } from './errors.ts'
import { at, itemOf } from './item.ts'
import type { Item } from './item.ts'
import { parseXml } from './xml.ts'
import type { XmlElement } from './xml.ts'

/** UTF-16 units. */
const MAX_FEED = 16 * 1024 * 1024
const MAX_ENTRIES = 10_000
const HEADERS = {
  accept: 'application/feed+json, application/atom+xml, application/rss+xml, application/json;q=0.9, application/xml;q=0.9, text/xml;q=0.9',
}

/** `entries` of the feed that the request's base is. A feed has one page. `raw` is the entry as an element, or as JSON. */
export const feed: Connector = { id: 'feed', collections: { entries } }

async function* entries(request: ConnectorRequest, options: CollectionOptions = {}): AsyncGenerator<Item, void, void> {
  const limit = limitOf(options)
  if (limit === 0) return
  yield* readFeed(await bodyOf(await request({ method: 'GET', path: '', headers: HEADERS }))).slice(0, limit)
}

/** The entries of a feed's text, in its order, at most 10,000. @throws ConnectorError `collection_unreadable`. */
export function readFeed(text: string): readonly Item[] {
  if (text.length > MAX_FEED) throw new ConnectorError('collection_unreadable', 'the feed is too large')
  const body = text.trimStart()
  if (body.startsWith('{')) return jsonEntries(body)
  const root = parseXml(body)
  switch (local(root)) {
    case 'rss':
      return elements(element(root, 'channel'), 'item').map(rssEntry)
    case 'feed':
      return elements(root, 'entry').map(atomEntry)
    default:
      throw new ConnectorError('collection_unreadable', 'the document is no feed')
  }
}

function jsonEntries(text: string): readonly Item[] {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    // The parser's message quotes the feed.
    throw new ConnectorError('collection_unreadable', 'the feed is no JSON')
  }
  const version = at(body, ['version'])
  if (typeof version !== 'string' || !/^https?:\/\/(?:www\.)?jsonfeed\.org\/version\//u.test(version))
    throw new ConnectorError('collection_unreadable', 'the document is no feed')
  return listOf(at(body, ['items']))
    .slice(0, MAX_ENTRIES)
    .map(jsonEntry)
}

function jsonEntry(raw: unknown): Item {
  return itemOf('entry', raw, {
    id: ['id'],
    title: ['title'],
    text: { value: at(raw, ['content_html']) ?? at(raw, ['content_text']) ?? at(raw, ['summary']) },
    url: ['url'],
    author: { value: at(raw, ['authors', '0', 'name']) ?? at(raw, ['author', 'name']) },
    createdAt: ['date_published'],
    updatedAt: ['date_modified'],
  })
}

/** An entry without a guid is known by its link. */
function rssEntry(raw: XmlElement): Item {
  return itemOf('entry', raw, {
    id: { value: textOf(raw, 'guid') ?? textOf(raw, 'link') },
    title: { value: textOf(raw, 'title') },
    text: { value: textOf(raw, 'content:encoded') ?? textOf(raw, 'description') },
    url: { value: textOf(raw, 'link') },
    author: { value: textOf(raw, 'author') ?? textOf(raw, 'dc:creator') },
    createdAt: { value: textOf(raw, 'pubDate') ?? textOf(raw, 'dc:date') },
  })
}

function atomEntry(raw: XmlElement): Item {
  const author = element(raw, 'author')
  return itemOf('entry', raw, {
    id: { value: textOf(raw, 'id') },
    title: { value: textOf(raw, 'title') },
    text: { value: textOf(raw, 'content') ?? textOf(raw, 'summary') },
    url: { value: alternate(raw) },
    author: { value: author === undefined ? null : textOf(author, 'name') },
    createdAt: { value: textOf(raw, 'published') },
    updatedAt: { value: textOf(raw, 'updated') },
  })
}

/** RFC 4287 section 4.2.7.2: a link without `rel` is an alternate. */
function alternate(entry: XmlElement): string | null {
  const link = elements(entry, 'link').find(({ attributes }) => (attributes['rel'] ?? 'alternate') === 'alternate')
  return link?.attributes['href'] ?? null
}

/** The name without its prefix: a feed may give all of its elements one. */
function local({ name }: XmlElement): string {
  return name.slice(name.indexOf(':') + 1)
}

/** `name` with a prefix is compared whole: an element of an extension is not one of the feed. */
function elements(parent: XmlElement | undefined, name: string): readonly XmlElement[] {
  const prefix = parent?.name.includes(':') === true && !name.includes(':') ? `${parent.name.split(':')[0]}:` : ''
  return (parent?.children ?? []).filter((child) => child.name === `${prefix}${name}`).slice(0, MAX_ENTRIES)
}

function element(parent: XmlElement, name: string): XmlElement | undefined {
  return elements(parent, name)[0]
}

function textOf(parent: XmlElement, name: string): string | null {
  const text = element(parent, name)?.text.trim()
  return text === undefined || text === '' ? null : text
}
