/**
 * Owns what every keeper of credential lineages must do, whoever uses it: the port in core/tokens/lineage.ts, its races included. Two stores
 * on the same records stand for two processes.
 */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import fc from 'fast-check'
import { createMemoryStore, hasCode, Secret } from '@sallyport/core'
import { someTokens } from './tokens.ts'
import type { BegunRefresh, CredentialRef, CredentialState, CredentialStore, SpilledAnswer, TokenSet } from '@sallyport/core'

export interface StoreUnderTest {
  /** A store on the records of this test run, as another process would open it. The suite closes it. */
  open(): Promise<CredentialStore>
  /** A credential that nothing was stored for. */
  ref(): Promise<CredentialRef>
  /** Everything that the store has written anywhere, as it lies there. */
  dump(): Promise<Uint8Array>
  /** Takes the store away, each way it can go, and brings it back as it was. `withinMs`: how soon every question is to be answered meanwhile. */
  readonly failures: Readonly<Record<string, { fail(): Promise<void>; heal(): Promise<void>; readonly withinMs: number }>>
  /** Ends every connection to the store, which may come again at once. Undefined where there is none. */
  readonly reset?: () => void
  close(): Promise<void>
}

export interface StoreWays {
  /** Names of `failures`. */
  readonly failures: readonly string[]
  /** What was stored is there when every store was closed and another is opened. */
  readonly survives: boolean
  /** The store tells the time, not the process that asks. */
  readonly ownClock: boolean
  /** There are connections that end: `reset`. */
  readonly connections?: boolean
  /** A name that was removed may be connected again. */
  readonly namesReturn: boolean
}

const NODE = { node: 'a-node', attempt: 1 }
const HOUR = 3_600_000

const accessOf = (version: { readonly tokens: TokenSet } | undefined): string | undefined => version?.tokens.accessToken.reveal()

/** A test that is not there where its promise is not made. */
const when = (promised: boolean): ((name: string, test: () => Promise<void>) => void) => (promised ? it : () => undefined)

export function credentialStoreSuite(name: string, make: () => Promise<StoreUnderTest>, ways: StoreWays): void {
  describe(`a credential store: ${name}`, () => {
    let place: StoreUnderTest
    let store: CredentialStore
    let other: CredentialStore
    beforeAll(async () => {
      place = await make()
      store = await place.open()
      other = await place.open()
    })
    afterAll(async () => {
      await store?.close()
      await other?.close()
      await place?.close()
    })

    async function connected(tokens = someTokens('first')): Promise<{ ref: CredentialRef; state: CredentialState }> {
      const ref = await place.ref()
      await store.connect(ref, tokens)
      return { ref, state: (await store.read(ref))! }
    }

    const fromHead = ({ generation, head, intent }: CredentialState) => ({
      generation,
      headSeq: head.seq,
      parentSeq: head.seq,
      replaces: intent?.id ?? null,
    })

    async function begun(ref: CredentialRef, from = store): Promise<BegunRefresh> {
      const begin = await from.begin(ref, fromHead((await from.read(ref))!), NODE)
      expect(begin).toBeDefined()
      return begin!
    }

    const answerTo = ({ intent }: BegunRefresh, tokens: TokenSet) => ({
      intent: intent.id,
      generation: intent.generation,
      parentSeq: intent.parentSeq,
      tokens,
    })

    async function refreshed(ref: CredentialRef, tokens: TokenSet): Promise<void> {
      expect(await store.save(ref, answerTo(await begun(ref), tokens))).toBe('head')
    }

    describe('connecting', () => {
      it('knows nothing of a credential that nobody connected', async () => {
        const ref = await place.ref()
        expect(await store.read(ref)).toBeUndefined()
        expect(await store.siblings(ref)).toEqual([])
        expect(await store.begin(ref, { generation: 1, headSeq: 1n, parentSeq: 1n, replaces: null }, NODE)).toBeUndefined()
        expect(await store.save(ref, { intent: 'none', generation: 1, parentSeq: 1n, tokens: someTokens('x') })).toBe('ended')
        expect(await store.withdraw(ref, 'none', null)).toBe(false)
        expect(await store.doubt(ref, 'none', { trouble: 'malformed', retryInMs: 0 })).toBe(false)
        expect(await store.end(ref, { generation: 1 }, 'revoked', 'revoked')).toBe(false)
        expect(await store.remove(ref)).toBe(false)
      })

      it('gives back what was connected, whole, to every process', async () => {
        const ref = await place.ref()
        const tokens = someTokens('whole', { expiresAt: null, scopes: ['ä b'], extra: new Secret('{"a":[1,"ü"]}') })
        const made = await store.connect(ref, tokens)
        const state = (await other.read(ref))!
        expect(state).toMatchObject({ ref, status: 'active', intent: null, failure: null, generation: made.generation })
        expect(state.head).toMatchObject({ seq: made.seq, parentSeq: null, generation: made.generation })
        expect(state.readAt).toBeGreaterThanOrEqual(state.head.obtainedAt)
        expect(state.stale).toBeUndefined()
        const { accessToken, refreshToken, extra, ...rest } = state.head.tokens
        expect(rest).toEqual({ tokenType: 'bearer', expiresAt: null, scopes: ['ä b'] })
        expect([accessToken.reveal(), refreshToken?.reveal(), extra.reveal()]).toEqual([
          'fake-access-whole',
          'fake-refresh-whole',
          '{"a":[1,"ü"]}',
        ])
      })

      it('begins a new generation with each consent, without intent, failure or usable past', async () => {
        const { ref, state } = await connected()
        const { intent } = await begun(ref)
        await store.doubt(ref, intent.id, { trouble: 'outcome_unknown', retryInMs: HOUR })
        const made = await other.connect(ref, someTokens('again'))
        expect(made.generation).toBeGreaterThan(state.generation)
        expect(made.seq).toBeGreaterThan(state.head.seq)
        const now = (await store.read(ref))!
        expect(now).toMatchObject({ generation: made.generation, status: 'active', intent: null, failure: null })
        expect(now.head).toMatchObject({ seq: made.seq, parentSeq: null })
        expect(await store.siblings(ref)).toEqual([])
      })

      it('keeps credentials apart whose names run together', async () => {
        const [one, two] = [await connected(someTokens('one')), await connected(someTokens('two'))]
        expect(accessOf((await store.read(one.ref))!.head)).toBe('fake-access-one')
        expect(accessOf((await store.read(two.ref))!.head)).toBe('fake-access-two')
      })

      it('counts every one of many consents at once', async () => {
        const ref = await place.ref()
        const all = await Promise.all(Array.from({ length: 8 }, (_, i) => (i % 2 === 0 ? store : other).connect(ref, someTokens(`c${i}`))))
        expect(new Set(all.map(({ seq }) => seq)).size).toBe(8)
        expect(new Set(all.map(({ generation }) => generation)).size).toBe(8)
        const last = all.toSorted((a, b) => a.generation - b.generation).at(-1)!
        expect(await store.read(ref)).toMatchObject({ generation: last.generation, head: { seq: last.seq } })
      })
    })

    describe('beginning a refresh', () => {
      it('commits an intent that every process sees, and gives its parent of the same moment', async () => {
        const { ref, state } = await connected()
        const { intent, parent } = (await store.begin(ref, fromHead(state), { node: 'node-7', attempt: 3 }))!
        expect(intent).toMatchObject({ generation: state.generation, parentSeq: state.head.seq, headSeq: state.head.seq })
        expect(intent).toMatchObject({ attempt: 3, node: 'node-7', state: 'calling' })
        expect(accessOf(parent)).toBe('fake-access-first')
        const seen = (await other.read(ref))!
        expect(seen.intent).toEqual(intent)
        expect(seen.readAt).toBeGreaterThanOrEqual(intent.startedAt)
      })

      it('refuses from a head that has moved, and writes nothing', async () => {
        const { ref, state } = await connected()
        await refreshed(ref, someTokens('second'))
        expect(await store.begin(ref, fromHead(state), NODE)).toBeUndefined()
        expect((await other.read(ref))!.intent).toBeNull()
      })

      it('refuses from another generation', async () => {
        const { ref, state } = await connected()
        expect(await store.begin(ref, { ...fromHead(state), generation: state.generation + 1 }, NODE)).toBeUndefined()
        await store.connect(ref, someTokens('again'))
        expect(await store.begin(ref, fromHead(state), NODE)).toBeUndefined()
        const now = (await store.read(ref))!
        expect(await store.begin(ref, { ...fromHead(now), parentSeq: state.head.seq }, NODE)).toBeUndefined()
        expect((await other.read(ref))!.intent).toBeNull()
      })

      it.each(['reconnect_required', 'revoked'] as const)('refuses when the grant is %s', async (status) => {
        const { ref, state } = await connected()
        await store.end(ref, { generation: state.generation }, status, 'revoked')
        expect(await other.begin(ref, fromHead(state), NODE)).toBeUndefined()
      })

      it('refuses beside an intent that is not the one named', async () => {
        const { ref, state } = await connected()
        expect(await store.begin(ref, { ...fromHead(state), replaces: 'one-that-never-was' }, NODE)).toBeUndefined()
        const { intent } = await begun(ref)
        expect(await other.begin(ref, fromHead(state), NODE)).toBeUndefined()
        expect(await other.begin(ref, { ...fromHead(state), replaces: 'another' }, NODE)).toBeUndefined()
        expect((await store.read(ref))!.intent).toEqual(intent)
        const probe = await other.begin(ref, { ...fromHead(state), replaces: intent.id }, { node: 'b', attempt: 2 })
        expect((await store.read(ref))!.intent).toEqual(probe!.intent)
        expect(probe!.intent.id).not.toBe(intent.id)
      })

      it('refuses a parent that is not there', async () => {
        const { ref, state } = await connected()
        expect(await store.begin(ref, { ...fromHead(state), parentSeq: state.head.seq + 1000n }, NODE)).toBeUndefined()
        expect((await store.read(ref))!.intent).toBeNull()
      })

      it('lets one of many begin', async () => {
        const { ref, state } = await connected()
        const all = await Promise.all(Array.from({ length: 16 }, (_, i) => (i % 2 === 0 ? store : other).begin(ref, fromHead(state), NODE)))
        const won = all.filter((one) => one !== undefined)
        expect(won).toHaveLength(1)
        expect((await other.read(ref))!.intent).toEqual(won[0]!.intent)
      })

      it('lets one of many take over an intent', async () => {
        const { ref, state } = await connected()
        const { intent } = await begun(ref)
        const all = await Promise.all(
          Array.from({ length: 16 }, (_, i) =>
            (i % 2 === 0 ? store : other).begin(ref, { ...fromHead(state), replaces: intent.id }, { node: 'b', attempt: 2 }),
          ),
        )
        expect(all.filter((one) => one !== undefined)).toHaveLength(1)
      })

      it('shows the tokens of a sibling that is tried, and makes its successor the head', async () => {
        const { ref } = await connected()
        const [late, probe] = [await begun(ref), await begun(ref)]
        expect(await store.save(ref, answerTo(probe, someTokens('won')))).toBe('head')
        expect(await store.save(ref, answerTo(late, someTokens('late')))).toBe('sibling')
        const [sibling] = (await store.siblings(ref)).filter((one) => accessOf(one) === 'fake-access-late')
        const now = (await store.read(ref))!
        const again = (await other.begin(ref, { ...fromHead(now), parentSeq: sibling!.seq }, NODE))!
        expect(accessOf(again.parent)).toBe('fake-access-late')
        expect(again.intent).toMatchObject({ parentSeq: sibling!.seq, headSeq: now.head.seq })
        expect(await store.save(ref, answerTo(again, someTokens('from-late')))).toBe('head')
        expect((await other.read(ref))!.head.parentSeq).toBe(sibling!.seq)
      })
    })

    describe('saving an answer', () => {
      it('makes the successor the head and takes intent and failure away, in one step', async () => {
        const { ref, state } = await connected()
        const first = await begun(ref)
        await store.withdraw(ref, first.intent.id, { trouble: 'provider_down', retryInMs: 0 })
        const second = await begun(ref)
        expect(await other.save(ref, answerTo(second, someTokens('second')))).toBe('head')
        const now = (await store.read(ref))!
        expect(now).toMatchObject({ status: 'active', intent: null, failure: null, generation: state.generation })
        expect(now.head).toMatchObject({ parentSeq: state.head.seq, generation: state.generation })
        expect(accessOf(now.head)).toBe('fake-access-second')
      })

      it('answers the same answer as the first time and adds nothing, also at once and after others', async () => {
        const { ref } = await connected()
        const one = await begun(ref)
        const saves = Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? store : other).save(ref, answerTo(one, someTokens('second'))))
        expect(new Set(await Promise.all(saves))).toEqual(new Set(['head']))
        await refreshed(ref, someTokens('third'))
        expect(await other.save(ref, answerTo(one, someTokens('second')))).toBe('head')
        expect(accessOf((await store.read(ref))!.head)).toBe('fake-access-third')
        expect((await store.siblings(ref)).map(accessOf)).toEqual(['fake-access-second', 'fake-access-first'])
      })

      it('keeps the answer of an intent that was taken over, beside the head or as it, and loses none of two at once', async () => {
        for (let round = 0; round < 10; round++) {
          const { ref, state } = await connected()
          const [late, probe] = [await begun(ref), await begun(ref, other)]
          const outcomes = await Promise.all([
            store.save(ref, answerTo(late, someTokens('late'))),
            other.save(ref, answerTo(probe, someTokens('probe'))),
          ])
          expect(outcomes.toSorted()).toEqual(['head', 'sibling'])
          const now = (await store.read(ref))!
          expect(now).toMatchObject({ intent: null, status: 'active', head: { parentSeq: state.head.seq } })
          const names = [accessOf(now.head), ...(await other.siblings(ref)).map(accessOf)]
          expect(new Set(names)).toEqual(new Set(['fake-access-late', 'fake-access-probe', 'fake-access-first']))
          expect(names).toHaveLength(3)
        }
      })

      it('F-25 keeps the late answer of a stalled holder and leaves the intent of its successor', async () => {
        const { ref } = await connected()
        const [late, probe] = [await begun(ref), await begun(ref, other)]
        expect(await store.save(ref, answerTo(late, someTokens('late')))).toBe('head')
        expect((await store.read(ref))!.intent).toEqual(probe.intent)
        expect(await store.save(ref, answerTo(probe, someTokens('probe')))).toBe('sibling')
        expect((await store.read(ref))!.intent).toBeNull()
      })

      it('F-25 keeps a late answer without a refresh token beside the head while another call shows the same token', async () => {
        const { ref } = await connected()
        const kept = { ...someTokens('late'), refreshToken: someTokens('first').refreshToken }
        const [late, probe] = [await begun(ref), await begun(ref, other)]
        expect(await store.save(ref, { ...answerTo(late, kept), keepsRefreshToken: true })).toBe('sibling')
        expect((await store.read(ref))!.intent).toEqual(probe.intent)
        // As the head it would have hidden what follows the token that was shown.
        expect(await other.save(ref, answerTo(probe, someTokens('probe')))).toBe('head')
        expect(accessOf((await store.read(ref))!.head)).toBe('fake-access-probe')
      })

      it('makes an answer without a refresh token the head when its own intent stands, or none', async () => {
        const { ref } = await connected()
        const own = await begun(ref)
        expect(await store.save(ref, { ...answerTo(own, someTokens('second')), keepsRefreshToken: true })).toBe('head')
        const late = await begun(ref)
        await other.withdraw(ref, late.intent.id, null)
        expect(await store.save(ref, { ...answerTo(late, someTokens('third')), keepsRefreshToken: true })).toBe('head')
      })

      it('F-25 makes a credential active again that was given up while its answer was on the way', async () => {
        const { ref, state } = await connected()
        const one = await begun(ref)
        expect(await other.end(ref, { generation: state.generation }, 'reconnect_required', 'token_lost')).toBe(true)
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('head')
        expect(await other.read(ref)).toMatchObject({ status: 'active', intent: null, failure: null })
      })

      it('V-06 keeps nothing for a revoked grant, whichever comes first', async () => {
        for (let round = 0; round < 10; round++) {
          const { ref, state } = await connected()
          const one = await begun(ref)
          const [ended] = await Promise.all([
            other.end(ref, { generation: state.generation }, 'revoked', 'revoked'),
            store.save(ref, answerTo(one, someTokens('late'))),
          ])
          expect(ended).toBe(true)
          expect(await store.read(ref)).toMatchObject({ status: 'revoked', intent: null, failure: { trouble: 'revoked' } })
        }
        const { ref, state } = await connected()
        const one = await begun(ref)
        await other.end(ref, { generation: state.generation }, 'revoked', 'revoked')
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('ended')
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('ended')
        expect(await store.siblings(ref)).toEqual([])
        expect((await store.read(ref))!.head.seq).toBe(state.head.seq)
      })

      it('keeps nothing for a grant that was renewed meanwhile', async () => {
        const { ref } = await connected()
        const one = await begun(ref)
        await other.connect(ref, someTokens('renewed'))
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('ended')
        expect(accessOf((await other.read(ref))!.head)).toBe('fake-access-renewed')
        expect(await other.siblings(ref)).toEqual([])
      })

      it('keeps nothing for a credential that was removed', async () => {
        const { ref } = await connected()
        const one = await begun(ref)
        expect(await other.remove(ref)).toBe(true)
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('ended')
        expect(await store.read(ref)).toBeUndefined()
        expect(await store.remove(ref)).toBe(false)
      })

      it('is not removed for a generation that is over: a person connected anew', async () => {
        const { ref, state } = await connected()
        const { generation } = await other.connect(ref, someTokens('anew'))
        expect(await store.remove(ref, state.generation)).toBe(false)
        expect(accessOf((await store.read(ref))!.head)).toBe('fake-access-anew')
        expect(await store.remove(ref, generation)).toBe(true)
        expect(await other.read(ref)).toBeUndefined()
      })

      when(ways.namesReturn)('keeps nothing of one that was removed for the one connected after it', async () => {
        const { ref } = await connected()
        const one = await begun(ref)
        await other.remove(ref)
        await other.connect(ref, someTokens('anew'))
        expect(await store.save(ref, answerTo(one, someTokens('late')))).toBe('ended')
        expect(accessOf((await other.read(ref))!.head)).toBe('fake-access-anew')
      })
    })

    describe('ending otherwise', () => {
      it('withdraws an intent, counting failures in a row by its own clock', async () => {
        const { ref } = await connected()
        const first = await begun(ref)
        expect(await store.withdraw(ref, 'another', { trouble: 'provider_down', retryInMs: 5 })).toBe(false)
        expect(await other.withdraw(ref, first.intent.id, { trouble: 'provider_down', retryInMs: 1234 })).toBe(true)
        expect(await other.withdraw(ref, first.intent.id, { trouble: 'provider_down', retryInMs: 1234 })).toBe(false)
        const one = (await store.read(ref))!
        expect(one).toMatchObject({ status: 'active', intent: null, failure: { trouble: 'provider_down', failures: 1 } })
        expect(one.failure!.retryAt - one.failure!.at).toBe(1234)
        expect(one.failure!.at).toBeLessThanOrEqual(one.readAt)
        const second = await begun(ref)
        await store.withdraw(ref, second.intent.id, { trouble: 'rate_limited', retryInMs: HOUR })
        expect((await other.read(ref))!.failure).toMatchObject({ trouble: 'rate_limited', failures: 2 })
      })

      it('withdraws an intent after which nothing failed, leaving what is noted', async () => {
        const { ref } = await connected()
        const first = await begun(ref)
        expect(await store.withdraw(ref, first.intent.id, null)).toBe(true)
        expect(await store.read(ref)).toMatchObject({ intent: null, failure: null })
        const second = await begun(ref)
        await store.withdraw(ref, second.intent.id, { trouble: 'provider_down', retryInMs: 0 })
        const third = await begun(ref)
        await store.withdraw(ref, third.intent.id, null)
        expect((await store.read(ref))!.failure).toMatchObject({ trouble: 'provider_down', failures: 1 })
      })

      it('doubts an intent, which stands until something is known', async () => {
        const { ref } = await connected()
        const one = await begun(ref)
        expect(await store.doubt(ref, 'another', { trouble: 'outcome_unknown', retryInMs: 5 })).toBe(false)
        const answer = new Secret('fake-canary-unreadable-answer')
        expect(await other.doubt(ref, one.intent.id, { trouble: 'malformed', retryInMs: 77 }, answer)).toBe(true)
        const state = (await store.read(ref))!
        expect(state.intent).toEqual({ ...one.intent, state: 'unknown' })
        expect(state.failure).toMatchObject({ trouble: 'malformed', failures: 1 })
        expect(state.failure!.retryAt - state.failure!.at).toBe(77)
        expect(await store.save(ref, answerTo(one, someTokens('second')))).toBe('head')
        expect(await other.read(ref)).toMatchObject({ intent: null, failure: null })
      })

      it('ends a generation once, at the head that was meant, and never less than before', async () => {
        const { ref, state } = await connected()
        const { generation, head } = state
        await begun(ref)
        expect(await store.end(ref, { generation: generation + 1 }, 'revoked', 'revoked')).toBe(false)
        expect(await store.end(ref, { generation, headSeq: head.seq + 1n }, 'reconnect_required', 'grant_expired')).toBe(false)
        expect((await store.read(ref))!.status).toBe('active')
        expect(await store.end(ref, { generation, headSeq: head.seq }, 'reconnect_required', 'grant_expired')).toBe(true)
        const ended = (await other.read(ref))!
        expect(ended).toMatchObject({ status: 'reconnect_required', intent: null, failure: { trouble: 'grant_expired', failures: 1 } })
        expect(await other.end(ref, { generation, headSeq: head.seq }, 'reconnect_required', 'grant_expired')).toBe(true)
        expect((await store.read(ref))!.failure).toEqual(ended.failure)
        expect(await other.end(ref, { generation }, 'revoked', 'revoked')).toBe(true)
        expect(await other.end(ref, { generation }, 'reconnect_required', 'grant_expired')).toBe(false)
        expect((await store.read(ref))!.status).toBe('revoked')
      })

      it('forgets a credential with all it had', async () => {
        const { ref } = await connected(someTokens('fake-forgotten'))
        await begun(ref)
        expect(await store.remove(ref)).toBe(true)
        expect(await other.read(ref)).toBeUndefined()
        expect(await other.siblings(ref)).toEqual([])
        expect(await other.interrupted(10_000)).not.toContainEqual(ref)
      })
    })

    describe('looking back', () => {
      it('lists every other version that holds a refresh token, the head’s own too, newest first', async () => {
        const { ref } = await connected(someTokens('a'))
        await refreshed(ref, someTokens('b', { refreshToken: new Secret('fake-refresh-kept') }))
        await refreshed(ref, someTokens('c', { refreshToken: null }))
        await refreshed(ref, someTokens('d'))
        await refreshed(ref, someTokens('e', { refreshToken: new Secret('fake-refresh-kept') }))
        const found = await other.siblings(ref)
        expect(found.map(accessOf)).toEqual(['fake-access-d', 'fake-access-b', 'fake-access-a'])
        expect(found.map(({ parentSeq }) => parentSeq === null)).toEqual([false, false, true])
      })

      it('lists interrupted credentials, oldest first, until the intent is gone', async () => {
        const [a, b, c] = [await connected(), await connected(), await connected()]
        const begins: BegunRefresh[] = []
        for (const { ref } of [a, b, c]) {
          begins.push(await begun(ref))
          // What began within one millisecond is in no order.
          const at = Date.now()
          await expect.poll(() => Date.now(), { interval: 5 }).toBeGreaterThan(at + 5)
        }
        const mine = async (): Promise<string[]> =>
          (await other.interrupted(10_000)).filter((ref) => [a, b, c].some((one) => one.ref.id === ref.id)).map(({ id }) => id)
        const began = new Map(begins.map(({ intent }, i) => [[a, b, c][i]!.ref.id, intent.startedAt]))
        const moments = (await mine()).map((id) => began.get(id)!)
        expect(moments).toEqual([...began.values()].toSorted((x, y) => x - y))
        await store.save(a.ref, answerTo(begins[0]!, someTokens('saved')))
        expect((await mine()).toSorted()).toEqual([b.ref.id, c.ref.id].toSorted())
        await store.doubt(b.ref, begins[1]!.intent.id, { trouble: 'outcome_unknown', retryInMs: 0 })
        await store.withdraw(c.ref, begins[2]!.intent.id, null)
        expect(await mine()).toEqual([b.ref.id])
        await store.end(b.ref, { generation: b.state.generation }, 'reconnect_required', 'token_lost')
        expect(await mine()).toEqual([])
        expect((await store.interrupted(1)).length).toBeLessThanOrEqual(1)
      })

      it('lists nothing in doubt before its time: what rests takes no place of what is due', async () => {
        const { ref } = await connected()
        const { intent } = await begun(ref)
        const isListed = async (): Promise<boolean> => (await other.interrupted(10_000)).some(({ id }) => id === ref.id)
        await store.doubt(ref, intent.id, { trouble: 'outcome_unknown', retryInMs: HOUR })
        expect(await isListed()).toBe(false)
        await store.doubt(ref, intent.id, { trouble: 'outcome_unknown', retryInMs: 0 })
        expect(await isListed()).toBe(true)
        const state = (await store.read(ref))!
        await store.doubt(ref, intent.id, { trouble: 'outcome_unknown', retryInMs: HOUR })
        expect(await store.begin(ref, { ...fromHead(state), replaces: intent.id }, NODE)).toBeDefined()
        expect(await isListed()).toBe(true)
      })

      it('F-01 lists grants that were not used for long, and none that need or allow no use', async () => {
        const { ref, state } = await connected()
        const later = state.readAt + HOUR
        const isIdle = async (one: CredentialRef, since = later): Promise<boolean> =>
          (await other.idle(since, 10_000)).some(({ scope, id }) => scope === one.scope && id === one.id)
        expect(await isIdle(ref)).toBe(true)
        expect(await isIdle(ref, state.head.obtainedAt)).toBe(false)
        const begin = await begun(ref)
        expect(await isIdle(ref)).toBe(false)
        await store.withdraw(ref, begin.intent.id, { trouble: 'provider_down', retryInMs: HOUR })
        expect(await isIdle(ref)).toBe(false)
        const again = await begun(ref)
        await store.save(ref, answerTo(again, someTokens('second', { refreshToken: null })))
        expect(await isIdle(ref)).toBe(false)
        const ended = await connected()
        await store.end(ended.ref, { generation: ended.state.generation }, 'revoked', 'revoked')
        expect(await isIdle(ended.ref)).toBe(false)
      })

      it('prunes old versions, never the head nor the parent of an intent', async () => {
        const { ref } = await connected(someTokens('a'))
        await refreshed(ref, someTokens('b'))
        await refreshed(ref, someTokens('c'))
        const state = (await store.read(ref))!
        const parent = (await store.siblings(ref)).find((one) => accessOf(one) === 'fake-access-b')!
        expect(await store.begin(ref, { ...fromHead(state), parentSeq: parent.seq }, NODE)).toBeDefined()
        expect(await store.prune(state.readAt - HOUR)).toBe(0)
        expect(await other.siblings(ref)).toHaveLength(2)
        expect(await other.prune(state.readAt + HOUR)).toBeGreaterThanOrEqual(1)
        expect((await store.siblings(ref)).map(accessOf)).toEqual(['fake-access-b'])
        expect(await store.read(ref)).toMatchObject({ head: { seq: state.head.seq }, intent: { parentSeq: parent.seq } })
        expect(await store.prune(state.readAt + HOUR)).toBe(0)
      })
    })

    describe('what waits elsewhere', () => {
      async function spilled(): Promise<{ ref: CredentialRef; answer: SpilledAnswer }> {
        const { ref } = await connected()
        const begin = await begun(ref)
        const { intent } = begin
        const sealed = begin.seal(new Secret('fake-canary-answer'))
        return { ref, answer: { ref, intent: intent.id, generation: intent.generation, parentSeq: intent.parentSeq, sealed } }
      }

      it('opens in another process what one has sealed for later', async () => {
        const { answer } = await spilled()
        expect((await other.openSpilled(answer)).reveal()).toBe('fake-canary-answer')
        expect(Buffer.from(answer.sealed).includes('fake-canary')).toBe(false)
      })

      it('opens it nowhere else', async () => {
        const { answer } = await spilled()
        const { ref } = await connected()
        const moved = [{ ref }, { intent: 'another' }, { generation: answer.generation + 1 }, { parentSeq: answer.parentSeq + 1n }]
        // And says so: as a store that is away it would be waited for, for ever.
        for (const change of moved) {
          await expect(other.openSpilled({ ...answer, ...change })).rejects.toSatisfy((error) => !hasCode(error, 'store_unavailable'))
        }
      })
    })

    describe('as a store', () => {
      when(ways.ownClock)('F-23 tells its own time, not that of the process', async () => {
        const { ref, state } = await connected()
        const clock = vi.spyOn(Date, 'now').mockReturnValue(Date.UTC(2031, 0, 1))
        try {
          const now = (await store.read(ref))!
          expect(Math.abs(now.readAt - state.readAt)).toBeLessThan(HOUR)
          const begin = await begun(ref)
          expect(Math.abs(begin.intent.startedAt - state.readAt)).toBeLessThan(HOUR)
          await store.withdraw(ref, begin.intent.id, { trouble: 'provider_down', retryInMs: 1 })
          expect(Math.abs((await store.read(ref))!.failure!.at - state.readAt)).toBeLessThan(HOUR)
        } finally {
          clock.mockRestore()
        }
      })

      it('hints at changes to every process', async () => {
        const { ref } = await connected()
        const heard: (CredentialRef | 'unknown')[] = []
        const stop = other.onChange((change) => void heard.push(change))
        const ofThis = (change: CredentialRef | 'unknown'): boolean =>
          change !== 'unknown' && change.scope === ref.scope && change.id === ref.id
        // A hint that came before the listener's connection stood may be missed: changes go on until one is heard.
        while (!heard.some(ofThis)) await refreshed(ref, someTokens('changed'))
        stop()
        await store.remove(ref)
      })

      it('writes nothing in clear', async () => {
        const canary = `canary-${Math.random().toString(36).slice(2)}`
        const { ref } = await connected(someTokens(canary))
        await refreshed(ref, someTokens(canary))
        const begin = await begun(ref)
        await store.doubt(ref, begin.intent.id, { trouble: 'malformed', retryInMs: 0 }, new Secret(`fake-answer-${canary}`))
        const dump = Buffer.from(await place.dump())
        expect(dump.length).toBeGreaterThan(0)
        const spellings = [canary, Buffer.from(canary).toString('base64').slice(0, 12), Buffer.from(canary).toString('hex')]
        expect(spellings.filter((spelling) => dump.includes(spelling))).toEqual([])
      })

      when(ways.survives)('has everything after all its users have gone', async () => {
        const { ref } = await connected()
        await refreshed(ref, someTokens('second'))
        const begin = await begun(ref)
        await store.doubt(ref, begin.intent.id, { trouble: 'outcome_unknown', retryInMs: HOUR })
        const before = (await store.read(ref))!
        await Promise.all([store.close(), other.close()])
        store = await place.open()
        other = await place.open()
        const after = (await other.read(ref))!
        expect({ ...after, head: null, readAt: 0 }).toEqual({ ...before, head: null, readAt: 0 })
        expect(accessOf(after.head)).toBe('fake-access-second')
        expect((await store.siblings(ref)).map(accessOf)).toEqual(['fake-access-first'])
        expect(await store.save(ref, answerTo(begin, someTokens('third')))).toBe('head')
      })

      it.each(ways.failures)('when it is away (%s): says so soon, and works again by itself', async (way) => {
        const { ref, state } = await connected()
        const failure = place.failures[way]!
        await failure.fail()
        try {
          const questions: (() => Promise<unknown>)[] = [
            () => store.read(ref),
            () => store.begin(ref, fromHead(state), NODE),
            () => store.connect(ref, someTokens('again')),
            () => store.save(ref, { intent: 'none', generation: 1, parentSeq: 1n, tokens: someTokens('x') }),
            () => store.interrupted(10),
          ]
          for (const ask of questions) {
            const asked = performance.now()
            await expect(ask()).rejects.toMatchObject({ code: 'store_unavailable' })
            expect(performance.now() - asked).toBeLessThan(failure.withinMs)
          }
        } finally {
          await failure.heal()
        }
        await expect
          .poll(
            () =>
              store.read(ref).then(
                (found) => found !== undefined,
                () => false,
              ),
            { timeout: 20_000 },
          )
          .toBe(true)
      })

      when(ways.connections === true)('does once what is repeated because nobody knows whether it was done', async () => {
        const { ref } = await connected()
        const untilDone = async <T>(work: () => Promise<T>): Promise<T> => {
          for (;;) {
            try {
              return await work()
            } catch (error) {
              expect(error).toMatchObject({ code: 'store_unavailable' })
            }
          }
        }
        const rounds = 25
        for (let round = 0; round < rounds; round++) {
          const begin = await untilDone(async () => begun(ref))
          const resetting = (async () => {
            for (let turn = round % 7; turn > 0; turn--) await new Promise(setImmediate)
            place.reset!()
          })()
          expect(await untilDone(() => store.save(ref, answerTo(begin, someTokens(`round-${round}`))))).toBe('head')
          await resetting
        }
        const head = await untilDone(() => other.read(ref))
        expect(accessOf(head!.head)).toBe(`fake-access-round-${rounds - 1}`)
        const names = (await untilDone(() => other.siblings(ref))).map(accessOf)
        expect(names).toHaveLength(rounds)
        expect(new Set(names).size).toBe(rounds)
      })

      it('does what the exact store in memory does, whatever is asked in whatever order', async () => {
        const seed = Math.floor(Math.random() * 2 ** 31)
        console.info(`credential store (${name}): seed ${seed}`)
        await fc.assert(
          fc.asyncProperty(fc.array(commands(ways.namesReturn), { minLength: 4, maxLength: 24 }), async (asked) => {
            const [real, model] = [new Player(store, await place.ref()), new Player(createMemoryStore(), { scope: 's', id: 'i' })]
            for (const command of asked) expect(await real.play(command), JSON.stringify(asked)).toEqual(await model.play(command))
          }),
          { seed, numRuns: 40, endOnFailure: true },
        )
      })
    })
  })
}

type Command =
  | { readonly do: 'connect' | 'read' | 'siblings' | 'remove' }
  | { readonly do: 'begin'; readonly view: number; readonly sibling: boolean }
  | { readonly do: 'save' | 'withdraw' | 'doubt' | 'forsake'; readonly begun: number }
  | { readonly do: 'end'; readonly view: number; readonly strict: boolean; readonly status: 'revoked' | 'reconnect_required' }

function commands(removes: boolean): fc.Arbitrary<Command> {
  const nth = fc.nat({ max: 3 })
  const plain = fc.constantFrom('connect', 'siblings', 'read', 'read', ...(removes ? (['remove'] as const) : []))
  const finish = fc.constantFrom('save', 'save', 'withdraw', 'doubt', 'forsake')
  const status = fc.constantFrom('revoked', 'reconnect_required')
  return fc.oneof(
    { weight: 5, arbitrary: plain.map((verb): Command => ({ do: verb })) },
    { weight: 6, arbitrary: fc.tuple(nth, fc.boolean()).map(([view, sibling]): Command => ({ do: 'begin', view, sibling })) },
    { weight: 6, arbitrary: fc.tuple(finish, nth).map(([verb, begun]): Command => ({ do: verb, begun })) },
    {
      weight: 2,
      arbitrary: fc.tuple(nth, fc.boolean(), status).map(([view, strict, status]): Command => ({ do: 'end', view, strict, status })),
    },
  )
}

/** Plays commands on one credential, and tells what came of them in words that no store chooses: order of versions, not their numbers. */
class Player {
  readonly #store: CredentialStore
  readonly #ref: CredentialRef
  readonly #views: CredentialState[] = []
  readonly #begun: BegunRefresh[] = []
  #saved = 0

  constructor(store: CredentialStore, ref: CredentialRef) {
    this.#store = store
    this.#ref = ref
  }

  async play(command: Command): Promise<unknown> {
    const [store, ref] = [this.#store, this.#ref]
    switch (command.do) {
      case 'connect':
        await store.connect(ref, someTokens(`connected-${this.#saved++}`))
        return this.#look()
      case 'read':
        return this.#look()
      case 'siblings':
        return (await store.siblings(ref)).map(accessOf)
      case 'remove':
        return store.remove(ref)
      case 'begin':
        return this.#begin(this.#views.at(-1 - command.view), command.sibling)
      case 'end': {
        const view = this.#views.at(-1 - command.view)
        if (view === undefined) return 'nothing to end'
        const at = { generation: view.generation, ...(command.strict ? { headSeq: view.head.seq } : {}) }
        return [await store.end(ref, at, command.status, 'grant_expired'), await this.#look()]
      }
      default:
        return this.#finish(command.do, this.#begun.at(-1 - command.begun))
    }
  }

  async #begin(view: CredentialState | undefined, sibling: boolean): Promise<unknown> {
    if (view === undefined) return 'nothing to begin from'
    const parentSeq = (sibling ? (await this.#store.siblings(this.#ref))[0]?.seq : undefined) ?? view.head.seq
    const from = { generation: view.generation, headSeq: view.head.seq, parentSeq, replaces: view.intent?.id ?? null }
    const begun = await this.#store.begin(this.#ref, from, NODE)
    if (begun !== undefined) this.#begun.push(begun)
    return [accessOf(begun?.parent), await this.#look()]
  }

  async #finish(how: 'save' | 'withdraw' | 'doubt' | 'forsake', begun: BegunRefresh | undefined): Promise<unknown> {
    if (begun === undefined) return 'nothing begun'
    const { id, generation, parentSeq } = begun.intent
    const note = { trouble: 'provider_down', retryInMs: 0 } as const
    const outcome =
      how === 'save'
        ? await this.#store.save(this.#ref, { intent: id, generation, parentSeq, tokens: someTokens(`saved-${this.#saved++}`) })
        : how === 'doubt'
          ? await this.#store.doubt(this.#ref, id, note, new Secret('fake-answer'))
          : await this.#store.withdraw(this.#ref, id, how === 'withdraw' ? note : null)
    return [outcome, await this.#look()]
  }

  async #look(): Promise<unknown> {
    const state = await this.#store.read(this.#ref)
    if (state === undefined) return 'nothing there'
    this.#views.push(state)
    const { status, head, intent, failure } = state
    const newest = this.#begun.findIndex((one) => one.intent.id === intent?.id)
    return {
      status,
      head: accessOf(head),
      root: head.parentSeq === null,
      intent: intent && { ...intent, id: newest, generation: 0, parentSeq: 0n, headSeq: 0n, startedAt: 0 },
      failure: failure && { ...failure, at: 0, retryAt: failure.retryAt - failure.at },
    }
  }
}
