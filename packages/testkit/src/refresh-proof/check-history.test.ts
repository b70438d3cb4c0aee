import { describe, expect, it } from 'vitest'
import { checkHistory } from './check-history.ts'
import type { BreachKind } from './check-history.ts'
import type { GrantRecord, History, Holding, IssuerProfile, Showing } from './history.ts'

const STRICT: IssuerProfile = { kind: 'strict' }
const GRACE: IssuerProfile = { kind: 'grace', seconds: 30, again: 'another' }

let request = 0
const showing = (token: number, at: number, more: Partial<Showing> = {}): Showing => ({
  request: request++,
  client: 'app',
  node: 'a',
  grant: 'g',
  token,
  arrivedAt: at,
  outcome: 'rotated',
  committedAt: at,
  successor: token + 1,
  fault: null,
  told: 'tokens',
  doneAt: at + 10,
  delivered: true,
  ...more,
})
const unclear = (token: number, at: number, more: Partial<Showing> = {}): Showing =>
  showing(token, at, { fault: 'after_html', told: 'unclear', ...more })
const grant = (profile: IssuerProfile, live: number[], ended: GrantRecord['ended'] = null): GrantRecord => ({
  id: 'g',
  client: 'app',
  profile,
  madeAt: 0,
  ended,
  live,
})
const held = (head: number, more: Partial<Holding> = {}): Holding => ({
  grant: 'g',
  status: 'active',
  trouble: null,
  labelledAt: null,
  head,
  siblings: [],
  unsettled: false,
  ...more,
})
const history = (parts: Partial<History>): History => ({
  grants: [],
  showings: [],
  nodeFaults: [],
  wireFaults: [],
  holdings: [],
  endedAt: 1e6,
  ...parts,
})
const kindsOf = (parts: Partial<History>): BreachKind[] => [...new Set(checkHistory(history(parts)).breaches.map(({ kind }) => kind))]

describe('the judge of histories', () => {
  it('finds nothing in a linear chain whose last token is held', () => {
    const verdict = checkHistory(
      history({ grants: [grant(STRICT, [2])], showings: [showing(0, 100), showing(1, 5000)], holdings: [held(2)] }),
    )
    expect(verdict).toMatchObject({ breaches: [], losses: [], probes: 0, recoveriesMs: [] })
  })

  it('finds a chain that forks', () => {
    const showings = [
      showing(0, 100),
      showing(0, 200, { outcome: 'again', successor: 2 }),
      showing(1, 300, { successor: 3 }),
      showing(2, 400, { successor: 4 }),
    ]
    expect(kindsOf({ grants: [grant(GRACE, [3, 4])], showings, holdings: [held(3, { siblings: [4] })] })).toContain('fork')
  })

  it('finds a double spend: one token shown twice by healthy nodes', () => {
    const showings = [showing(0, 100), showing(0, 120, { node: 'b', outcome: 'reuse', successor: null, told: 'refused' })]
    const holdings = [held(1, { status: 'reconnect_required', labelledAt: 200 })]
    expect(kindsOf({ grants: [grant(STRICT, [], { by: 'reuse', at: 120 })], showings, holdings })).toContain('double_spend')
  })

  it('finds a double spend while the first call is under way', () => {
    const slow = showing(0, 100, { doneAt: 9000 })
    const showings = [slow, showing(0, 5000, { node: 'b', outcome: 'again', successor: 2 })]
    expect(kindsOf({ grants: [grant(GRACE, [2])], showings, holdings: [held(2)] })).toEqual(['double_spend'])
  })

  it('lets a token be probed while nobody can know how it ended before, and counts repeated probes', () => {
    const none = { outcome: 'untouched', successor: null } as const
    const showings = [unclear(0, 100, none), unclear(0, 2000, none), showing(0, 4000)]
    const verdict = checkHistory(history({ grants: [grant(STRICT, [1])], holdings: [held(1)], showings }))
    expect(verdict).toMatchObject({ breaches: [], probes: 2, repeatedProbes: 1 })
  })

  it('finds a probe that comes although a probe before it was answered', () => {
    const none = { outcome: 'untouched', successor: null } as const
    const showings = [unclear(0, 100, none), showing(0, 2000), showing(0, 4000, { outcome: 'reuse', successor: null, told: 'refused' })]
    const holdings = [held(1, { status: 'reconnect_required', labelledAt: 4100 })]
    expect(kindsOf({ grants: [grant(STRICT, [], { by: 'reuse', at: 4000 })], holdings, showings })).toContain('double_spend')
  })

  it('lets a spent token be shown once within its grace when the one after it is refused', () => {
    const refused = { outcome: 'replaced', successor: null, told: 'refused' } as const
    const showings = [showing(0, 100), showing(1, 5000, refused), showing(0, 5100, { outcome: 'again', successor: 2 })]
    const parts = { grants: [grant(GRACE, [2])], holdings: [held(2)] }
    expect(kindsOf({ ...parts, showings })).toEqual([])
    expect(kindsOf({ ...parts, grants: [grant(STRICT, [2])], showings })).toContain('double_spend')
  })

  it('takes a showing that was clearly refused before anything was spent for none', () => {
    const limited = showing(0, 100, { fault: 'before_429', outcome: 'untouched', successor: null, told: 'not_spent' })
    expect(kindsOf({ grants: [grant(STRICT, [1])], showings: [limited, showing(0, 2000)], holdings: [held(1)] })).toEqual([])
  })

  it('lets a token be shown again that the answer left in place', () => {
    const kept = showing(0, 100, { fault: 'no_refresh_token', outcome: 'kept', successor: null })
    expect(kindsOf({ grants: [grant(STRICT, [1])], showings: [kept, showing(0, 5000)], holdings: [held(1)] })).toEqual([])
  })

  it('excuses nothing by the wire to a Redis that is never needed', () => {
    const parts = { grants: [grant(STRICT, [])], showings: [showing(0, 100), showing(0, 3000)], holdings: [held(0)] }
    const cut = { slot: 'a', kind: 'cut', at: 50, until: 4000 } as const
    expect(kindsOf({ ...parts, wireFaults: [{ ...cut, to: 'issuer' }] })).not.toContain('double_spend')
    expect(kindsOf({ ...parts, wireFaults: [{ ...cut, to: 'hint' }] })).toContain('double_spend')
  })

  it('takes a late end of a killed node for what it is on a slow machine, and only there', () => {
    const parts = {
      grants: [grant(STRICT, [], { by: 'reuse', at: 9000 })],
      showings: [showing(0, 100), showing(0, 9000, { node: 'b', outcome: 'reuse', successor: null, told: 'refused' })],
      nodeFaults: [{ node: 'a', kind: 'kill', at: 5000, until: null } as const],
      holdings: [held(0, { status: 'reconnect_required', trouble: 'token_lost', labelledAt: 9100 })],
    }
    expect(checkHistory(history(parts)).losses).toMatchObject([{ cause: 'ours' }])
    expect(checkHistory(history(parts), 20).losses).toMatchObject([{ cause: 'kill' }])
  })

  it('counts showings of a token that had been refused, which spend nothing', () => {
    const refused = { outcome: 'ended', successor: null, told: 'refused' } as const
    const grants = [grant(STRICT, [], { by: 'revoked', at: 50 })]
    const holdings = [held(0, { status: 'reconnect_required', labelledAt: 300 })]
    const verdict = checkHistory(history({ grants, showings: [showing(0, 100, refused), showing(0, 200, refused)], holdings }))
    expect(verdict).toMatchObject({ breaches: [], repeatedRefusals: 1 })
  })

  it('finds a lost successor even where grace made up for it', () => {
    const showings = [showing(0, 100), showing(1, 5000)]
    const verdict = kindsOf({ grants: [grant(GRACE, [1, 2])], showings, holdings: [held(1)] })
    expect(verdict).toEqual(['lost_successor'])
  })

  it('finds a loss under none and grace whatever was done to the nodes', () => {
    const kill = { node: 'a', kind: 'kill', at: 105, until: null } as const
    const holdings = [held(0, { status: 'reconnect_required', labelledAt: 5000 })]
    const parts = { showings: [showing(0, 100)], nodeFaults: [kill], holdings }
    expect(kindsOf({ ...parts, grants: [grant(GRACE, [1])] })).toEqual(['lost'])
  })

  it('excuses a strict loss by a kill with the call in flight, when it is labelled', () => {
    const parts = {
      grants: [grant(STRICT, [], { by: 'reuse', at: 3000 })],
      showings: [showing(0, 100), showing(0, 3000, { node: 'b', outcome: 'reuse', successor: null, told: 'refused' })],
      nodeFaults: [{ node: 'a', kind: 'kill', at: 105, until: null } as const],
      holdings: [held(0, { status: 'reconnect_required', trouble: 'token_lost', labelledAt: 3100 })],
    }
    const verdict = checkHistory(history(parts))
    expect(verdict).toMatchObject({ breaches: [], inFlightAtKills: 1, losses: [{ cause: 'kill', labelledAfterMs: 100 }] })
    expect(kindsOf({ ...parts, nodeFaults: [] })).toContain('lost')
  })

  it('finds an unlabelled loss, and one labelled too late', () => {
    const parts = {
      grants: [grant(STRICT, [], { by: 'reuse', at: 3000 })],
      showings: [unclear(0, 100), showing(0, 3000, { outcome: 'reuse', successor: null, told: 'refused' })],
    }
    expect(kindsOf({ ...parts, holdings: [held(0)] })).toEqual(['unlabelled'])
    expect(kindsOf({ ...parts, holdings: [held(0, { status: 'reconnect_required', labelledAt: 63_001 })] })).toEqual(['late_label'])
    expect(kindsOf({ ...parts, holdings: [held(0, { status: 'reconnect_required', labelledAt: 63_000 })] })).toEqual([])
  })

  it('finds a revocation that nobody noticed', () => {
    const revoked = grant(STRICT, [], { by: 'revoked', at: 3000 })
    expect(kindsOf({ grants: [revoked], holdings: [held(0)] })).toEqual(['unlabelled'])
    expect(kindsOf({ grants: [revoked], holdings: [held(0, { status: 'revoked', labelledAt: 3500 })] })).toEqual([])
  })

  it('takes a grant that was given up although its token lives for lost by us', () => {
    const showings = [unclear(0, 100, { outcome: 'untouched', successor: null })]
    const holdings = [held(0, { status: 'reconnect_required', labelledAt: 2000 })]
    const verdict = checkHistory(history({ grants: [grant(STRICT, [0])], showings, holdings }))
    expect(verdict.losses).toMatchObject([{ cause: 'ours' }])
    expect(verdict.breaches.map(({ kind }) => kind)).toEqual(['lost'])
  })

  it('finds an intent that still stands when all is quiet', () => {
    expect(kindsOf({ grants: [grant(STRICT, [0])], holdings: [held(0, { unsettled: true })] })).toEqual(['unsettled'])
  })

  it('measures from an unknown outcome to a known one', () => {
    const showings = [unclear(0, 100), showing(0, 400, { outcome: 'again', successor: 2 })]
    const verdict = checkHistory(history({ grants: [grant(GRACE, [2])], showings, holdings: [held(2)] }))
    expect(verdict).toMatchObject({ breaches: [], probes: 1, recoveriesMs: [300] })
  })
})
