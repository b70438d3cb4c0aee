/**
 * Owns what the vendors' own clients must find wherever they are pointed: at a vendor, or at what stands before one. The smaller suite asks for what
 * any server of those APIs gives; the whole one needs vendors that judge, and that tell what reached them.
 */
import { createHash } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import Anthropic from '@anthropic-ai/sdk'
import { GoogleGenAI } from '@google/genai'
import OpenAI from 'openai'
import { endlessStream, HELLO, MODEL_CLIENTS, nameOf, statusOf, statusThenVendor, WEATHER } from '../models/index.ts'
import type { ModelAddress, ModelClient, ModelUpstream, SeenCall, VendorName } from '../models/index.ts'

export interface ModelsUnderTest {
  addressOf(vendor: VendorName): ModelAddress
  close(): Promise<void>
}

export interface JudgingModelsUnderTest extends ModelsUnderTest {
  /** The vendors at the end of the way, whatever stands before them. */
  readonly upstream: ModelUpstream
  /** An address where no vendor is. */
  nowhere(vendor: VendorName): ModelAddress
  /** What a vendor says to a wrong key there. */
  wrongKeyStatus(vendor: VendorName): number
  /** What AWS's client makes of a wrong key, and of an address where nobody is: it names errors by what it is told, not by their status. */
  readonly awsNames: { readonly wrongKey: string; readonly nowhere: string }
}

/** One white point. */
const PNG = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4//8/AwAI/AL+p5qgoAAAAABJRU5ErkJggg==', 'base64')

/** What a place has not: whole vendors, or one thing for the clients named. */
export interface Lacking {
  readonly vendors?: readonly VendorName[]
  readonly tools?: readonly string[]
  readonly embeddings?: readonly string[]
  /** True: neither files nor speech are taken there. */
  readonly uploads?: true
  /** True: several clients end at one address of the vendor, where it can not tell whose try is the first. */
  readonly sameAddress?: true
  /** True: a wrong request is not what is told there, since something failed before it was judged. */
  readonly refusals?: true
  /** True: how long clients wait and how often they try is asked elsewhere. */
  readonly patience?: true
}

export function modelChatSuite(kind: string, make: () => Promise<ModelsUnderTest>, lacking: Lacking = {}): void {
  describe(`what models are asked: ${kind}`, () => {
    let place: ModelsUnderTest
    beforeAll(async () => {
      place = await make()
    })
    afterAll(() => place?.close())
    theSame(() => place, lacking)
  })
}

export function modelClientsSuite(kind: string, make: () => Promise<JudgingModelsUnderTest>, lacking: Lacking = {}): void {
  describe(`the vendors' clients: ${kind}`, () => {
    let place: JudgingModelsUnderTest
    beforeAll(async () => {
      place = await make()
    })
    afterEach(() => place.upstream.instead())
    afterAll(() => place?.close())
    theSame(() => place, lacking)
    theirErrors(() => place, clientsBut(lacking), lacking.refusals !== true)
    const patient = clientsBut(lacking).filter(({ name }) => lacking.sameAddress !== true || !name.endsWith('responses'))
    if (lacking.patience !== true) theirPatience(() => place, patient)
    if (lacking.uploads !== true) uploads(() => place)
  })
}

function clientsBut({ vendors = [] }: Lacking): typeof MODEL_CLIENTS {
  return MODEL_CLIENTS.filter(({ vendor }) => !vendors.includes(vendor))
}

function theSame(place: () => ModelsUnderTest, lacking: Lacking): void {
  describe.each(clientsBut(lacking))('$name, unmodified,', ({ name: clientName, vendor, embeds, make }) => {
    const client = (): ModelClient => make(place().addressOf(vendor))

    it('has its answer, and the count of its tokens', async () => {
      const { text, usage } = await client().chat(HELLO.prompt)
      expect(text).toBe(HELLO.text)
      expect(usage).toEqual({ input: HELLO.input, output: HELLO.output })
    })

    it('has its answer in pieces, and the count of its tokens after them', async () => {
      const { texts, usage } = await client().stream(HELLO.prompt)
      const said = await all(texts)
      expect(said.join('')).toBe(HELLO.text)
      expect(said.length).toBeGreaterThan(1)
      expect(await usage()).toEqual({ input: HELLO.input, output: HELLO.output })
    })

    if (!(lacking.tools ?? []).includes(clientName)) {
      it('is asked to use its tool, and tells what came of it', async () => {
        const { name, args, text } = await client().useTool('weather in Oslo?')
        expect([name, args]).toEqual([WEATHER.name, { city: 'sandbox' }])
        expect(text).toContain(WEATHER.result)
      })
    }

    it('shows a picture', async () => {
      expect(await client().look('look', PNG)).toContain('image/png')
    })

    if (embeds && !(lacking.embeddings ?? []).includes(clientName)) {
      it('has an embedding', async () => {
        const numbers = await client().embed!('hello')
        expect(numbers).toHaveLength(8)
        expect(new Set(numbers).size).toBeGreaterThan(1)
      })
    }
  })
}

function theirErrors(place: () => JudgingModelsUnderTest, clients: typeof MODEL_CLIENTS, judges: boolean): void {
  describe.each(clients)('$name, unmodified,', ({ vendor, make }) => {
    const address = (): ModelAddress => place().addressOf(vendor)

    it('throws its own error at a wrong key', async () => {
      const { aws, ...rest } = address()
      const wrong = 'not-the-key-at-all'
      const client = make({
        ...rest,
        key: wrong,
        ...(aws && { aws: { ...aws, accessKeyId: 'NOTTHEKEYATALL' } }),
        ...(rest.accessToken !== undefined && { accessToken: wrong }),
      })
      const error = await thrownBy(client.chat('hello'))
      expect(statusOf(error)).toBe(place().wrongKeyStatus(vendor))
      expect(nameOf(error)).toBe(vendor === 'bedrock' ? place().awsNames.wrongKey : client.thrown[401])
    })

    it('throws its own error where no vendor is', async () => {
      const client = make(place().nowhere(vendor))
      const error = await thrownBy(client.chat('hello'))
      const name = vendor === 'bedrock' ? place().awsNames.nowhere : client.thrown[404]
      expect([nameOf(error), statusOf(error)]).toEqual([name, 404])
    })

    if (judges) {
      it("throws its own error at the vendor's refusal", async () => {
        const client = make(address())
        const error = await thrownBy(client.misspeak())
        expect([nameOf(error), statusOf(error)]).toEqual([client.thrown[400], 400])
        // In the vendor's words, which say what was wrong.
        expect((error as Error).message).toMatch(/messages|temperature|max_tokens|top_?p/iu)
      })
    }

    it.each([429, 500] as const)('throws its own error at a %i that stays', async (status) => {
      place().upstream.instead(statusThenVendor(status, Number.MAX_SAFE_INTEGER))
      const client = make(address())
      const error = await thrownBy(client.chat('hello'))
      expect([nameOf(error), statusOf(error)]).toEqual([client.thrown[status], status])
    })
  })
}

function theirPatience(place: () => JudgingModelsUnderTest, clients: typeof MODEL_CLIENTS): void {
  // Side by side: each waits as long as it is told to.
  it.each([429, 500])('each tries again by itself after a %i, and not before it is told to', async (status) => {
    place().upstream.instead(statusThenVendor(status, 1, { 'retry-after': '1' }))
    const before = place().upstream.seen.length
    await Promise.all(
      clients.map(async ({ name, vendor, make }) => {
        const begun = performance.now()
        expect((await make(place().addressOf(vendor), { retries: 2 }).chat(HELLO.prompt)).text, name).toBe(HELLO.text)
        // A second, and what timers may be early by. The other clients wait by schedules of their own.
        if (READS_RETRY_AFTER.includes(name)) expect(performance.now() - begun, name).toBeGreaterThan(950)
      }),
    )
    expect(place().upstream.seen.length).toBe(before + 2 * clients.length)
  })

  it('each gives up by itself when no answer comes, and the vendor sees it go', async () => {
    place().upstream.instead((request) => void request.resume())
    const before = place().upstream.seen.length
    await Promise.all(
      clients.map(({ vendor, make }) => thrownBy(make(place().addressOf(vendor), { timeoutMs: PATIENCE_MS }).chat('hello'))),
    )
    const seen = place().upstream.seen.slice(before)
    expect(seen).toHaveLength(clients.length)
    expect(await Promise.all(seen.map(({ over }) => over))).not.toContain(false)
  })

  // OpenAI's own streams that never end are said as chat completions.
  const streaming = clients.filter(({ name }) => !name.endsWith('responses'))
  it.each(streaming)('$name, unmodified, takes its hands off a stream, and the vendor sees it go', async ({ vendor, make }) => {
    place().upstream.instead(endlessStream())
    const before = place().upstream.seen.length
    const hands = new AbortController()
    const { texts } = await make(place().addressOf(vendor)).stream('hello', hands.signal)
    await untilFirst(texts, () => hands.abort())
    expect(await (await arrived(place().upstream, before)).over).toBe(true)
  })
}

/** Long enough for every call to have reached its vendor, on a busy machine too. */
const PATIENCE_MS = 4_000
/** Clients that wait for what `Retry-After` says. */
const READS_RETRY_AFTER = [
  ...MODEL_CLIENTS.map(({ name }) => name).filter((name) => name.startsWith('openai, ')),
  '@anthropic-ai/sdk',
  'ai over @ai-sdk/openai, chat',
]

function uploads(place: () => JudgingModelsUnderTest): void {
  // More than any buffer on the way.
  const bytes = Buffer.alloc(5_000_000, 'not to be kept ')
  const file = (): File => new File([bytes], 'long.bin')
  const sha256 = createHash('sha256').update(bytes).digest('hex')

  it('openai, unmodified, uploads a file, every byte of it', async () => {
    const { base, key } = place().addressOf('openai')
    const made = await new OpenAI({ baseURL: `${base}/v1`, apiKey: key }).files.create({ file: file(), purpose: 'batch' })
    expect(made).toMatchObject({ bytes: bytes.length, filename: 'long.bin', purpose: 'batch', sha256 })
  })

  it('openai, unmodified, has speech written down', async () => {
    const { base, key } = place().addressOf('openai')
    const model = place().upstream.models.audio[0]!
    const made = await new OpenAI({ baseURL: `${base}/v1`, apiKey: key }).audio.transcriptions.create({ file: file(), model })
    expect(made.text).toBe(`The sandbox heard ${bytes.length} bytes.`)
  })

  it('openai, unmodified, lists the models', async () => {
    const { base, key } = place().addressOf('openai')
    const listed = await all(await new OpenAI({ baseURL: `${base}/v1`, apiKey: key }).models.list())
    expect(listed.map(({ id }) => id)).toContain(place().upstream.models.chat[0])
  })

  it('@anthropic-ai/sdk, unmodified, uploads a file, every byte of it', async () => {
    const { base, key } = place().addressOf('anthropic')
    const made = await new Anthropic({ baseURL: base, apiKey: key }).beta.files.upload({ file: file() })
    expect(made).toMatchObject({ size_bytes: bytes.length, filename: 'long.bin', sha256 })
  })

  it('@google/genai, unmodified, uploads a file, every byte of it, by the same way as its calls', async () => {
    const { base, key } = place().addressOf('gemini')
    const before = place().upstream.seen.length
    const client = new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base } })
    const made = await client.files.upload({ file: new Blob([bytes], { type: 'text/plain' }) })
    expect(made.sizeBytes).toBe(String(bytes.length))
    const carried = place().upstream.seen.slice(before)
    expect(carried.reduce((sum, call) => sum + call.bytes, 0)).toBeGreaterThan(bytes.length)
    expect(new Set(carried.map(({ headers }) => headers['x-goog-api-key']))).toEqual(new Set([place().upstream.key]))
  })
}

/** Whatever a client makes of its own leaving: an end, or an error. */
async function untilFirst(texts: AsyncIterable<string>, then: () => void): Promise<void> {
  let first: string | undefined
  try {
    for await (const text of texts) {
      first ??= text
      then()
    }
  } catch (error) {
    if (first === undefined) throw error
  }
  expect(first).toBeDefined()
}

async function all<T>(things: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const thing of things) list.push(thing)
  return list
}

async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

/** The first call after `before`, once it has come. */
async function arrived(upstream: ModelUpstream, before: number): Promise<SeenCall> {
  await expect.poll(() => upstream.seen.length).toBeGreaterThan(before)
  return upstream.seen[before]!
}
