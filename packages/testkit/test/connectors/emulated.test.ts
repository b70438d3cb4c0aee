/** Connectors against the work of others: the emulators of GitHub, Google and Slack. */
import { afterEach, describe, expect, it } from 'vitest'
import { createEmulator } from 'emulate'
import type { Emulator, SeedConfig } from 'emulate'
import { CONNECTORS } from '@sallyport/core'
import { onFreePort } from '../../src/servers/free-port.ts'
import type { CollectionOptions, ConnectorRequest, Item } from '@sallyport/core'

const TOKEN = 'token-of-the-test'
const open: Emulator[] = []

afterEach(async () => {
  await Promise.all(open.splice(0).map((emulator) => emulator.close()))
})

async function start(service: 'github' | 'google' | 'slack', login: string, seed: SeedConfig, base = ''): Promise<ConnectorRequest> {
  const emulator = await onFreePort((port) =>
    createEmulator({ service, port, hostname: '127.0.0.1', seed: { tokens: { [TOKEN]: { login, scopes: ['repo', 'user'] } }, ...seed } }),
  )
  open.push(emulator)
  return async ({ method, path, query, headers, body }) => {
    const url = new URL(`${emulator.url}${base}${path}`)
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value)
    return await fetch(url, { method, headers: { ...headers, authorization: `Bearer ${TOKEN}` }, ...(body === undefined ? {} : { body }) })
  }
}

async function take(id: string, list: string, request: ConnectorRequest, options?: CollectionOptions): Promise<Item[]> {
  const items: Item[] = []
  for await (const item of CONNECTORS.get(id)!.collections[list]!(request, options)) items.push(item)
  return items
}

describe('connectors against emulated providers', () => {
  it('read every repository of GitHub over its pages, once each', async () => {
    const repos = Array.from({ length: 7 }, (_, index) => ({ owner: 'octo', name: `r${index}` }))
    const request = await start('github', 'octo', { github: { users: [{ login: 'octo', name: 'O', email: 'o@x.example' }], repos } })
    const items = await take('github', 'repositories', request, { input: { per_page: '3' } })
    expect(new Set(items.map(({ title }) => title))).toEqual(new Set(repos.map(({ name }) => `octo/${name}`)))
    expect(items.flatMap(({ faults }) => faults)).toEqual([])
    expect(new Set(items.map(({ id }) => id)).size).toBe(7)
  })

  it('say how GitHub refused', async () => {
    const request = await start('github', 'octo', { github: { users: [{ login: 'octo', name: 'O', email: 'o@x.example' }] } })
    await expect(take('github', 'starred', request)).rejects.toMatchObject({ code: 'collection_refused', status: 404 })
  })

  it('read mail and events of Google over its pages', async () => {
    const user = 'a@x.example'
    const request = await start('google', user, {
      google: {
        users: [{ email: user, name: 'A' }],
        messages: [1, 2, 3].map((n) => ({
          id: `msg_${n}`,
          user_email: user,
          from: 'b@x.example',
          to: user,
          subject: `S${n}`,
          body_text: 'hello',
          label_ids: ['INBOX'],
        })),
        calendars: [{ id: 'primary', user_email: user, summary: 'a', primary: true, selected: true, time_zone: 'UTC' }],
        calendar_events: [1, 2, 3].map((n) => ({
          id: `evt_${n}`,
          user_email: user,
          calendar_id: 'primary',
          summary: `E${n}`,
          start_date_time: '2025-01-10T09:00:00.000Z',
          end_date_time: '2025-01-10T09:30:00.000Z',
        })),
      },
    })
    const mail = await take('google', 'mail', request, { input: { maxResults: '2' } })
    expect(mail.map(({ id, title }) => `${id} ${title}`).toSorted()).toEqual(['msg_1 S1', 'msg_2 S2', 'msg_3 S3'])
    expect(mail[0]).toMatchObject({ author: 'b@x.example', text: 'hello', faults: [] })
    const events = await take('google', 'events', request, { input: { maxResults: '2' } })
    expect(events).toHaveLength(3)
    expect(new Set(events.map(({ title }) => title))).toEqual(new Set(['E1', 'E2', 'E3']))
    expect(events[0]).toMatchObject({ startsAt: '2025-01-10T09:00:00.000Z', endsAt: '2025-01-10T09:30:00.000Z', faults: [] })
  })

  it("read a conversation of Slack over its pages, and say Slack's no", async () => {
    const request = await start(
      'slack',
      'dev',
      {
        slack: {
          team: { name: 'w', domain: 'w' },
          users: [{ name: 'dev', real_name: 'D', email: 'd@x.example' }],
          channels: [{ name: 'general' }],
        },
      },
      '/api',
    )
    const channel = 'C000000001'
    for (const text of ['one', 'two', 'three']) {
      const body = new URLSearchParams({ channel, text }).toString()
      const headers = { 'content-type': 'application/x-www-form-urlencoded' }
      await (await request({ method: 'POST', path: '/chat.postMessage', headers, body })).text()
    }
    const messages = await take('slack', 'messages', request, { input: { channel, limit: '2' } })
    expect(messages).toHaveLength(3)
    expect(new Set(messages.map(({ text }) => text))).toEqual(new Set(['one', 'two', 'three']))
    expect(messages.flatMap(({ faults }) => faults)).toEqual([])
    await expect(take('slack', 'messages', request, { input: { channel: 'C999999999' } })).rejects.toMatchObject({
      code: 'collection_refused',
      reason: 'channel_not_found',
    })
  })
})
