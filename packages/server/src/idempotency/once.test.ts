import { describe, expect, it } from 'vitest'
import { createLogger, generateKeyBytes, hmacKey, newId } from '@sallyport/core'
import { createIdempotency } from './once.ts'
import type { IdempotencyOptions } from './once.ts'

/** Statements that find something standing under the key, and then nothing: its creation failed between the two. */
function freedMeanwhile(): IdempotencyOptions['database'] {
  const statement = (answer: unknown): object =>
    new Proxy({}, { get: (_of, name) => (name === 'executeTakeFirst' ? async () => answer : () => statement(answer)) })
  const tx = { insertInto: () => statement({ numInsertedOrUpdatedRows: 0n }), selectFrom: () => statement(undefined) }
  return { withTenant: (_org, fn) => fn(tx as never) }
}

describe('a creation that is asked for again', () => {
  it('is told to wait, and begins nothing, when the one before it failed at this very moment', async () => {
    let worked = 0
    const idempotency = createIdempotency({
      database: freedMeanwhile(),
      vault: {} as IdempotencyOptions['vault'],
      key: hmacKey(generateKeyBytes()),
      logger: createLogger({ level: 'error', format: 'json', write: () => undefined }),
    })
    const asked = { org: newId('org'), caller: 'user_x', key: 'k', operation: 'keyCreate', request: {}, action: 'key.created' }
    const answer = idempotency.once(asked, async () => (worked += 1))
    await expect(answer).rejects.toMatchObject({ code: 'idempotency_in_progress' })
    expect(worked).toBe(0)
  })
})
