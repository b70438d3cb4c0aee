import { describe, expect, it, vi } from 'vitest'
import { newId } from '@sallyport/core'
import type { MeteredCall, Metering } from '../usage/index.ts'
import type { ContentLog } from './content-log.ts'
import { listeningMeter } from './tap.ts'

const principal = { org: newId('org'), project: newId('proj'), environment: 'live' } as MeteredCall['principal']
const call = { principal, request: newId('req'), provider: { id: 'openai', dialect: 'openai' }, endUser: null } as MeteredCall

/** The status that is kept with an answer of this one. */
function keptOf(status: number): number | null | undefined {
  const put = vi.fn<ContentLog['put']>()
  const log: ContentLog = { enter: () => true, leave: () => undefined, put, drop: () => undefined, close: async () => undefined }
  const inner: Metering = { answered: () => undefined, chunk: () => undefined, end: () => undefined }
  const wishes = { of: () => ({ prompts: false, responses: true }), heard: () => undefined }
  const metering = listeningMeter({ wantsBody: () => false, begin: () => inner }, wishes, log).begin(call) as Metering
  metering.answered(status, {})
  metering.chunk(Buffer.from('hello'))
  metering.end({})
  return put.mock.lastCall?.[0].status
}

describe('what is heard of a call', () => {
  it('bears the status of its answer, where that means something', () => {
    expect([200, 404, 599, 600, 999].map(keptOf)).toEqual([200, 404, 599, null, null])
  })
})
