/** What the vendors' own clients make of the gateway's refusals when they may try again: what passes is tried again, and what stays is not. */
import { once } from 'node:events'
import { createServer, request as send } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest'
import { createKey, HELLO, MODEL_CLIENTS, statusOf, statusThenVendor } from '@sallyport/testkit'
import type { ModelAddress, ModelClient } from '@sallyport/testkit'
import { setVendorStage } from './model-vendors.ts'
import type { VendorStage } from './model-vendors.ts'
import { serverUnderTest } from './server-under-test.ts'

/** Before a circuit opens, and how long it stays so. */
const [FAILURES, OPEN_MS] = [3, 2_000]
/** More than any client needs until a second has passed. */
const PATIENT = 9

let stage: VendorStage
const relays: Relay[] = []
beforeAll(async () => {
  stage = await setVendorStage({
    postgresUrl: serverUnderTest(inject('postgresUrl')),
    file: { breaker: { failures: FAILURES, openMs: OPEN_MS } },
  })
})
afterEach(() => stage.upstream.instead())
afterAll(async () => {
  for (const relay of relays) relay.close()
  await stage?.close()
})

interface Relay {
  readonly origin: string
  /** Of all answers that went through it, oldest first. */
  readonly statuses: number[]
  close(): void
}

/** Stands between one client and the gateway, and counts. */
async function relay(): Promise<Relay> {
  const statuses: number[] = []
  const { host } = new URL(stage.gateway.url)
  const server = createServer((incoming, outgoing) => {
    const up = send(
      `${stage.gateway.url}${incoming.url}`,
      { method: incoming.method!, headers: { ...incoming.headers, host } },
      (answer) => {
        statuses.push(answer.statusCode!)
        outgoing.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(outgoing)
      },
    )
    up.on('error', () => outgoing.destroy())
    incoming.pipe(up)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const made = {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    statuses,
    close: () => {
      server.closeAllConnections()
      server.close()
    },
  }
  relays.push(made)
  return made
}

/** One of each package; a model of each vendor that has a price. */
const CLIENTS: readonly { readonly name: string; readonly priced?: string }[] = [
  { name: 'openai, chat completions', priced: 'gpt-4.1' },
  { name: 'openai, AzureOpenAI' },
  { name: '@anthropic-ai/sdk', priced: 'claude-haiku-4-5' },
  { name: '@google/genai', priced: 'gemini-2.5-flash' },
  { name: '@aws-sdk/client-bedrock-runtime' },
  { name: 'ai over @ai-sdk/openai, chat', priced: 'gpt-4.1' },
]

interface Asking {
  readonly name: string
  readonly key?: string
  readonly chat?: string
  readonly retries?: number
}

async function asking({ name, key, chat, retries = 2 }: Asking): Promise<{ readonly client: ModelClient; readonly statuses: number[] }> {
  const { vendor, make } = MODEL_CLIENTS.find((one) => one.name === name)!
  const { origin, statuses } = await relay()
  const address: ModelAddress = { ...stage.addressOf(vendor), base: `${origin}/llm/${vendor}` }
  const client = make({ ...address, ...(key === undefined ? {} : { key }), ...(chat === undefined ? {} : { chat }) }, { retries })
  return { client, statuses }
}

async function statusThrown(call: Promise<unknown>): Promise<number | undefined> {
  return call.then(
    () => 200,
    (error: unknown) => statusOf(error),
  )
}

const idOf = (key: string): string => `key_${key.split('_')[2]}`

describe('a client that may try again', () => {
  describe('under a budget', () => {
    let key: string
    beforeAll(async () => {
      key = await createKey(stage.owner, ['llm:call'])
      const body = { key: idOf(key), amount_usd: '0.000001' }
      await stage.owner.client.call('budgetCreate', { params: { org: stage.owner.place.org }, body })
      const { client } = await asking({ name: CLIENTS[0]!.name, key, retries: 0 })
      // Budgets are heard of a moment after they are made.
      while ((await statusThrown(client.chat(HELLO.prompt))) !== 403);
    })

    it.each(CLIENTS)('$name sends a call whose cost is not known once', async ({ name }) => {
      const { client, statuses } = await asking({ name, key })
      expect([await statusThrown(client.chat(HELLO.prompt)), statuses]).toEqual([403, [403]])
    })

    it.each(CLIENTS.filter(({ priced }) => priced !== undefined))('$name sends a call beyond it once', async ({ name, priced }) => {
      const { client, statuses } = await asking({ name, key, chat: priced! })
      expect([await statusThrown(client.chat(HELLO.prompt)), statuses]).toEqual([402, [402]])
    })
  })

  it('sends a call without a kept key once, whichever it is', async () => {
    const unkept = await stage.owner.client.call('projectCreate', {
      params: { org: stage.owner.place.org },
      body: { name: 'without keys' },
    })
    const key = await createKey({ ...stage.owner, place: { ...stage.owner.place, project: unkept.id } }, ['llm:call'])
    const seen = CLIENTS.map(async ({ name }) => {
      const { client, statuses } = await asking({ name, key })
      return [name, await statusThrown(client.chat(HELLO.prompt)), ...statuses]
    })
    expect(await Promise.all(seen)).toEqual(CLIENTS.map(({ name }) => [name, 400, 400]))
  })

  it('comes back by itself after a limit of calls, and has its answer', async () => {
    const limited = async (name: string): Promise<void> => {
      const key = await createKey(stage.owner, ['llm:call'])
      const params = { ...stage.owner.place, key: idOf(key) }
      await stage.owner.client.call('keyRateLimitUpdate', { params, body: { limit: { per_second: 1, burst: 1 } } })
      const { client, statuses } = await asking({ name, key, retries: PATIENT })
      // One in a second: of several at once all but one are too many, unless the machine takes a second for each.
      do {
        const answers = await Promise.all([1, 2, 3].map(() => client.chat(HELLO.prompt)))
        expect(answers.map(({ text }) => text)).toEqual([HELLO.text, HELLO.text, HELLO.text])
      } while (!statuses.includes(429))
      expect(new Set(statuses)).toEqual(new Set([200, 429]))
    }
    await Promise.all(CLIENTS.map(({ name }) => limited(name)))
  }, 120_000)

  it('comes back by itself to a provider whose circuit was open, and has its answer', async () => {
    const clients = await Promise.all(CLIENTS.map(({ name }) => asking({ name, retries: PATIENT })))
    const trip = async (name: string): Promise<void> => {
      const { client } = await asking({ name, retries: 0 })
      while ((await statusThrown(client.chat(HELLO.prompt))) !== 503);
    }
    // Once is enough, but on a machine so slow that a circuit closes meanwhile.
    do {
      stage.upstream.instead(statusThenVendor(500, Number.MAX_SAFE_INTEGER))
      await Promise.all(CLIENTS.map(({ name }) => trip(name)))
      stage.upstream.instead()
      const answers = await Promise.all(clients.map(({ client }) => client.chat(HELLO.prompt)))
      expect(answers.map(({ text }) => text)).toEqual(CLIENTS.map(() => HELLO.text))
    } while (!clients.every(({ statuses }) => statuses.includes(503)))
    expect(new Set(clients.flatMap(({ statuses }) => statuses))).toEqual(new Set([503, 200]))
  }, 120_000)
})
