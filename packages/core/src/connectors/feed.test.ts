import { describe, expect, it } from 'vitest'
import { feed, readFeed } from './feed.ts'
import { itemSchema, MAX_TEXT } from './item.ts'

const RSS = `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:media="http://search.yahoo.com/mrss/">
<channel><title>News</title><link>https://news.example/</link>
<item><title>One &amp; only</title><link>https://news.example/1</link><guid isPermaLink="false">n-1</guid>
<media:title>Not this</media:title>
<description>Short</description><content:encoded><![CDATA[<p>Long</p>]]></content:encoded><author>ann@news.example</author>
<pubDate>Wed, 02 Oct 2024 13:00:00 GMT</pubDate></item>
<item><title>Two</title><link>https://news.example/2</link></item>
</channel></rss>`

const ATOM = `<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title>
<entry><id>urn:1</id><title>First</title><link rel="self" href="https://blog.example/1.atom"/><link href="https://blog.example/1"/>
<author><name>Bo</name></author><published>2024-01-02T03:04:05Z</published><updated>2024-01-03T03:04:05+01:00</updated><summary>S</summary></entry></feed>`

const JSON_FEED = JSON.stringify({
  version: 'https://jsonfeed.org/version/1.1',
  items: [
    {
      id: 7,
      url: 'https://j.example/7',
      title: 'Seven',
      content_text: 'c',
      authors: [{ name: 'Cy' }],
      date_published: '2024-05-06T07:08:09Z',
    },
  ],
})

describe('a feed', () => {
  it('in RSS 2.0 becomes items, and takes nothing from elements of extensions for its own', () => {
    const [one, two] = readFeed(RSS)
    expect(one).toMatchObject({
      kind: 'entry',
      id: 'n-1',
      title: 'One & only',
      text: '<p>Long</p>',
      url: 'https://news.example/1',
      author: 'ann@news.example',
      createdAt: '2024-10-02T13:00:00.000Z',
      faults: [],
    })
    expect(two).toMatchObject({ id: 'https://news.example/2', createdAt: null, faults: [] })
  })

  it('in Atom becomes items, with or without a prefix on everything', () => {
    const wanted = {
      id: 'urn:1',
      title: 'First',
      url: 'https://blog.example/1',
      author: 'Bo',
      createdAt: '2024-01-02T03:04:05.000Z',
      updatedAt: '2024-01-03T02:04:05.000Z',
    }
    expect(readFeed(ATOM)).toMatchObject([wanted])
    expect(readFeed(ATOM.replaceAll(/<(\/?)(?=[a-z])/gu, '<$1a:'))).toMatchObject([wanted])
  })

  it('in JSON becomes items', () => {
    expect(readFeed(JSON_FEED)).toMatchObject([
      { id: '7', title: 'Seven', author: 'Cy', createdAt: '2024-05-06T07:08:09.000Z', faults: [] },
    ])
  })

  it('of whatever shape gives items that keep to the schema', () => {
    for (const text of [RSS, ATOM, JSON_FEED]) for (const item of readFeed(text)) expect(itemSchema.safeParse(item).success).toBe(true)
  })

  it('with a title of 10 MB is cut there, and says so', () => {
    const [item] = readFeed(`<rss><channel><item><guid>1</guid><title>${'t'.repeat(10 * 1024 * 1024)}</title></item></channel></rss>`)
    expect(item!.title).toHaveLength(MAX_TEXT)
    expect(item!.faults).toEqual(['title'])
  })

  it('with links that a page would run has none', () => {
    const link = 'javascript:alert(1)'
    const items = [
      ...readFeed(`<rss><channel><item><guid>1</guid><link>${link}</link></item></channel></rss>`),
      ...readFeed(`<feed><entry><id>1</id><link href="${link}"/></entry></feed>`),
    ]
    expect(items.map(({ url, faults }) => [url, faults])).toEqual([
      [null, ['url']],
      [null, ['url']],
    ])
  })

  it.each([
    ['a page of HTML', '<html><body>Not found</body></html>'],
    ['a page that is no XML', '<!DOCTYPE html><p>'],
    ['JSON that is no feed', '{"items":[]}'],
    ['JSON that is cut', '{"version":'],
    ['a feed without a list', '{"version":"https://jsonfeed.org/version/1","items":{}}'],
    ['nothing', ''],
    ['more than 16 MB', `<rss>${' '.repeat(17 * 1024 * 1024)}</rss>`],
  ])('that is %s is refused', (_what, text) => {
    expect(() => readFeed(text)).toThrow(expect.objectContaining({ code: 'collection_unreadable' }) as Error)
  })

  it('is not asked for where nothing of it is wanted, and no more is given than wanted', async () => {
    let calls = 0
    const request = async () => {
      calls++
      return { status: 200, headers: new Headers(), text: async () => RSS }
    }
    const count = async (limit: number) => {
      let items = 0
      for await (const _item of feed.collections['entries']!(request, { limit })) items++
      return items
    }
    expect([await count(0), calls, await count(1), calls]).toEqual([0, 0, 1, 1])
  })
})
