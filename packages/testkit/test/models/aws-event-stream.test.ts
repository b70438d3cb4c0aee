/** AWS's own client writes event streams, whose messages are read as it wrote them. */
import { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime'
import { awsEventStream } from '@sallyport/core'
import type { AwsMessage } from '@sallyport/core'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`aws-event-stream seed ${seed}`)

const client = new BedrockRuntimeClient({ region: 'us-east-1', credentials: { accessKeyId: 'not-real', secretAccessKey: 'not-real' } })

interface Wanted {
  readonly name: string
  readonly body: string
}

async function written(messages: readonly Wanted[]): Promise<Buffer> {
  const stream = client.config.eventStreamMarshaller.serialize(ReadableStream.from(messages), ({ name, body }: Wanted) => ({
    headers: {
      ':flag': { type: 'boolean', value: true },
      ':number': { type: 'integer', value: 7 },
      ':when': { type: 'timestamp', value: new Date(0) },
      ':bytes': { type: 'binary', value: Buffer.from('x') },
      ':event-type': { type: 'string', value: name },
    },
    body: Buffer.from(body),
  }))
  const chunks: Uint8Array[] = []
  for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

function read(bytes: Buffer, cuts: readonly number[]): AwsMessage[] {
  const stream = awsEventStream()
  const found: AwsMessage[] = []
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = cuts[turn % cuts.length]!
    found.push(...stream.push(bytes.subarray(at, at + size)))
    at += size
  }
  return found
}

const messages = fc.array(fc.record({ name: fc.constantFrom('messageStart', 'é'), body: fc.string({ maxLength: 40 }) }), {
  minLength: 1,
  maxLength: 5,
})

describe('an event stream of AWS’s', () => {
  it('is read as AWS’s client wrote it, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(messages, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 8 }), async (wanted, cuts) => {
        const found = read(await written(wanted), cuts)
        expect(found.map(({ headers, payload }) => ({ name: headers[':event-type'], body: payload.toString() }))).toEqual(wanted)
        expect(
          Object.keys(found[0]!.headers).filter((name) => !name.startsWith(':e') && !name.startsWith(':m') && !name.startsWith(':c')),
        ).toEqual([])
      }),
      { seed, numRuns: 60 },
    )
  })

  it('is refused with any byte changed, and all that follows', async () => {
    const whole = await written([{ name: 'messageStart', body: '{"role":"assistant"}' }])
    // A changed length can be waited for: what stands before its checksum is refused as soon as that is there.
    for (let at = 0; at < whole.length; at++) {
      const changed = Buffer.from(whole)
      changed[at]! ^= 1
      const stream = awsEventStream()
      const refused = expect.objectContaining({ code: 'event_malformed' })
      expect(() => stream.push(changed)).toThrow(refused)
      expect(() => stream.push(whole)).toThrow(refused)
    }
  })
})
