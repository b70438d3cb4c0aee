/** Another process that uses a store or leases, to be stopped and killed. Does what its parent's messages say, and answers each. */
import { createPostgresLeases, createPostgresStore, createRedisLeases, createRedisStore } from '../../src/index.ts'
import type { CredentialRef, CredentialStore, Lease, LeaseKeeper } from '../../src/index.ts'
import { someTokens } from '../../../testkit/src/suites/tokens.ts'

export type Order =
  | {
      readonly do: 'lease'
      readonly kind: 'redis' | 'postgres'
      readonly url: string
      readonly key: string
      readonly stalledAfterMs: number
    }
  | { readonly do: 'prove' }
  /** Refreshes for ever, one credential after the other. */
  | {
      readonly do: 'refresh'
      readonly kind: 'redis' | 'postgres'
      readonly url: string
      readonly key: string
      readonly refs: readonly CredentialRef[]
    }

let lease: Lease | undefined

async function obey(order: Order): Promise<unknown> {
  if (order.do === 'prove') return lease?.prove()
  if (order.do === 'lease') {
    const { url, stalledAfterMs } = order
    const keeper: LeaseKeeper = order.kind === 'redis' ? createRedisLeases({ url }) : createPostgresLeases({ url, stalledAfterMs })
    lease = await keeper.take(order.key)
    return lease !== undefined
  }
  const options = { url: order.url, encryption: { key: order.key } }
  void refreshAll(order.kind === 'redis' ? createRedisStore(options) : createPostgresStore(options), order.refs)
  return true
}

async function refreshAll(store: CredentialStore, refs: readonly CredentialRef[]): Promise<void> {
  for (let round = 0; ; round++) await Promise.all(refs.map((ref) => refreshOne(store, ref, round)))
}

async function refreshOne(store: CredentialStore, ref: CredentialRef, round: number): Promise<void> {
  const { generation, head, intent } = (await store.read(ref))!
  const from = { generation, headSeq: head.seq, parentSeq: head.seq, replaces: intent?.id ?? null }
  const begun = (await store.begin(ref, from, { node: String(process.pid), attempt: 1 }))!
  await store.save(ref, { intent: begun.intent.id, generation, parentSeq: head.seq, tokens: someTokens(`round-${round}`) })
}

process.on('message', (order: Order) => {
  obey(order).then(
    (answer) => process.send!({ answer }),
    (error: unknown) => process.send!({ error: String(error) }),
  )
})
