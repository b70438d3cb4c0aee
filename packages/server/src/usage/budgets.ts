/**
 * Owns whether a model call may be paid for: what it may cost is set aside before it goes out, from what this node holds of each budget that bounds its
 * caller, and what it did cost is taken when it ends. A node draws in slices from PostgreSQL, so that a call waits for the database only where its node
 * holds too little. Refuses to go beyond a hard budget because it can't be asked: then no call is begun.
 *
 * What nodes hold, are spending and have spent never exceeds a budget. More is spent only by calls that cost more than was set aside for them, and by
 * those that were under way, or not yet written, on a node that died: see docs/usage.md for the bound.
 */
import type { BudgetId, Clock, KeyId, Logger, OrgId } from '@sallyport/core'
import type { Budget, BudgetAsk, BudgetDraw, Change, Charge } from '../db/index.ts'
import type { KeyPrincipal } from '../identity/index.ts'
import { Allotment, RENEW_AFTER_MS } from './allotment.ts'
import { BudgetError } from './budget-error.ts'

/** What of a caller says which budgets bound it. */
export type Spender = Pick<KeyPrincipal, 'keyId' | 'org' | 'project'>

export interface BudgetStore {
  /** The budgets of these holders. */
  read(org: OrgId, holders: readonly string[]): Promise<readonly Budget[]>
  draw(org: OrgId, ask: BudgetAsk): Promise<BudgetDraw | undefined>
  /** Puts on record that a period is used up, once whoever says so. */
  tell(org: OrgId, budget: Budget, startsOn: string, spentNano: number): Promise<void>
}

/** Set aside for one call. */
export interface Reservation {
  /** The call is over. Gives what is to be written; `cost` undefined: nothing, or nobody knows what. */
  settle(cost: number | undefined): readonly Charge[]
}

export interface Budgets {
  /** Whether any bounds this caller. At once, but for a caller that is new here. @throws BudgetError `budget_unavailable` in the promise */
  bounds(spender: Spender): boolean | Promise<boolean>
  /**
   * @param nano what the call may cost; undefined: nobody knows
   * @throws BudgetError, at once or in the promise; nothing is set aside then.
   */
  reserve(spender: Spender, nano: number | undefined): Reservation | Promise<Reservation>
  /** What was settled is written, or never will be: of one call or of several together. */
  written(charges: readonly Charge[]): void
  heard(change: Change | 'unknown'): void
  /** Renews what is held, and gives back what is not used. Called now and then; one that is under way is joined. */
  tend(): Promise<void>
  start(): void
  /** Gives back what is held. */
  close(): Promise<void>
}

export interface BudgetsOptions {
  readonly store: BudgetStore
  /** This process, told from every other. */
  readonly node: string
  readonly clock: Pick<Clock, 'monotonic'>
  readonly logger: Logger
  /** Is told of each refusal, by whose budget it was. */
  readonly onRefusal?: (holder: Budget['holder']) => void
}

interface Caller {
  readonly org: OrgId
  readonly holders: readonly string[]
  budgets: readonly Budget[]
  readAt: number
  usedAt: number
  /** Changes that were heard, and those of them that were heard before it was read: calls wait for the rest. */
  changes: number
  seen: number
  reading: Promise<void> | undefined
}

const MAX_AGE_MS = 10_000
const RETRY_MS = 1_000
const PATIENCE_MS = 2_000
const TEND_EVERY_MS = 5_000
const IDLE_MS = 10_000
const FORGOTTEN_MS = 60_000
const MAX_CALLERS = 50_000
const NO_RESERVATION: Reservation = { settle: () => [] }

export function createBudgets(options: BudgetsOptions): Budgets {
  return new LeasedBudgets(options)
}

class LeasedBudgets implements Budgets {
  readonly #o: BudgetsOptions
  readonly #callers = new Map<KeyId, Caller>()
  readonly #allotments = new Map<BudgetId, Allotment>()
  #timer: NodeJS.Timeout | undefined
  #tending: Promise<void> | undefined

  constructor(options: BudgetsOptions) {
    this.#o = options
  }

  bounds(spender: Spender): boolean | Promise<boolean> {
    const caller = this.#known(spender)
    return caller instanceof Promise ? caller.then(({ budgets }) => budgets.length > 0) : caller.budgets.length > 0
  }

  reserve(spender: Spender, nano: number | undefined): Reservation | Promise<Reservation> {
    const caller = this.#known(spender)
    return caller instanceof Promise ? caller.then((known) => this.#reserve(known, nano)) : this.#reserve(caller, nano)
  }

  written(charges: readonly Charge[]): void {
    for (const { budget, startsOn, nano } of charges) {
      const allotment = this.#allotments.get(budget)
      // Of a period that is over, or a budget that is gone, nothing is held any more.
      if (allotment?.startsOn === startsOn) allotment.wrote(nano)
    }
  }

  heard(change: Change | 'unknown'): void {
    if (change !== 'unknown' && change.table !== 'budget') return
    for (const caller of this.#callers.values()) if (change === 'unknown' || caller.org === change.org) caller.changes += 1
    for (const allotment of this.#allotments.values()) if (change === 'unknown' || allotment.budget.id === change.id) allotment.doubt()
  }

  tend(): Promise<void> {
    this.#tending ??= this.#tendAll().finally(() => (this.#tending = undefined))
    return this.#tending
  }

  start(): void {
    this.#timer = setInterval(() => void this.tend(), TEND_EVERY_MS)
    this.#timer.unref()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#tending
    await Promise.all([...this.#allotments.values()].map((allotment) => this.#look(allotment, false)))
  }

  /** The caller with what bounds it: at once where that is known. */
  #known(spender: Spender): Caller | Promise<Caller> {
    const caller = this.#caller(spender)
    const now = this.#o.clock.monotonic()
    caller.usedAt = now
    // Everybody, until it is read: whoever came first must not be the only one to know that there is something to wait for.
    if (caller.seen !== caller.changes) return this.#readSoon(caller)
    if (now - caller.readAt >= MAX_AGE_MS) void this.#read(caller)
    return caller
  }

  #caller({ org, project, keyId }: Spender): Caller {
    const known = this.#callers.get(keyId)
    if (known !== undefined) return known
    const holders = project === null ? [org, keyId] : [org, project, keyId]
    const made: Caller = { org, holders, budgets: [], readAt: -Infinity, usedAt: 0, changes: 1, seen: 0, reading: undefined }
    this.#callers.set(keyId, made)
    if (this.#callers.size > MAX_CALLERS) this.#callers.delete(this.#callers.keys().next().value!)
    return made
  }

  /** What is known already holds on while it can't be read; a caller of whom nothing is known is not let through. */
  async #readSoon(caller: Caller): Promise<Caller> {
    const { promise: late, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, PATIENCE_MS)
    await Promise.race([this.#read(caller), late]).finally(() => clearTimeout(timer))
    if (caller.readAt === -Infinity) throw new BudgetError('budget_unavailable', 'organization')
    return caller
  }

  #read(caller: Caller): Promise<void> {
    caller.reading ??= this.#reread(caller).finally(() => (caller.reading = undefined))
    return caller.reading
  }

  async #reread(caller: Caller): Promise<void> {
    const { store, clock, logger } = this.#o
    const askedAt = clock.monotonic()
    // As before the question: what changes while it is asked is asked again.
    const { changes } = caller
    try {
      caller.budgets = await store.read(caller.org, caller.holders)
      caller.readAt = askedAt
      caller.seen = changes
      for (const budget of caller.budgets) this.#renew(budget)
    } catch (error) {
      logger.warn('The budgets of a caller could not be read', { error })
      if (caller.readAt === -Infinity) return
      caller.readAt = askedAt - MAX_AGE_MS + RETRY_MS
      caller.seen = changes
    }
  }

  #renew(budget: Budget): void {
    const known = this.#allotments.get(budget.id)
    if (known === undefined) return
    // What one that only warned let begin was drawn from nobody.
    if (known.budget.enforcement !== budget.enforcement) known.doubt()
    known.budget = budget
  }

  #reserve(caller: Caller, nano: number | undefined): Reservation | Promise<Reservation> {
    if (caller.budgets.length === 0) return NO_RESERVATION
    if (nano === undefined) this.#refuseUnpriced(caller)
    // A call whose cost nobody knows is let through where something is left.
    const wanted = nano ?? 1
    const now = this.#o.clock.monotonic()
    const allotments = this.#allotmentsOf(caller, now)
    return allotments.every((one) => one.has(wanted, now)) ? this.#take(allotments, wanted) : this.#secure(caller, wanted)
  }

  #refuseUnpriced({ budgets }: Caller): void {
    const strict = budgets.find(({ enforcement, unpriced }) => enforcement === 'hard' && unpriced === 'refuse')
    if (strict !== undefined) throw new BudgetError('model_unpriced', strict.holder)
  }

  #allotmentsOf({ org, budgets }: Caller, now: number): readonly Allotment[] {
    return budgets.map((budget) => {
      const known = this.#allotments.get(budget.id)
      if (known !== undefined && !known.isOver(now)) return known
      const made = new Allotment(org, budget, now)
      this.#allotments.set(budget.id, made)
      return made
    })
  }

  #take(allotments: readonly Allotment[], nano: number): Reservation {
    const now = this.#o.clock.monotonic()
    for (const one of allotments) one.take(nano, now)
    return reservationOf(allotments, nano)
  }

  /** Draws until each budget has enough, and takes from all or none. */
  async #secure(caller: Caller, nano: number): Promise<Reservation> {
    const { clock } = this.#o
    const until = clock.monotonic() + PATIENCE_MS
    for (let now = clock.monotonic(); now <= until; now = clock.monotonic()) {
      const allotments = this.#allotmentsOf(caller, now)
      const lacking = allotments.find((one) => !one.has(nano, now))
      if (lacking === undefined) return this.#take(allotments, nano)
      await this.#drawFor(lacking, nano)
    }
    throw new BudgetError('budget_unavailable', 'organization')
  }

  /** Waits for a turn that is under way, or takes one. @throws BudgetError when there is not enough, or nobody answers */
  async #drawFor(allotment: Allotment, nano: number): Promise<void> {
    const { holder } = allotment.budget
    allotment.waiting += nano
    try {
      if (allotment.drawing !== undefined) {
        await allotment.drawing
        return
      }
      const answer = await this.#draw(allotment, true)
      if (answer === undefined || !allotment.isHard || answer.freeNano >= nano) return
      this.#tell(allotment, answer)
      this.#o.onRefusal?.(holder)
      throw new BudgetError('budget_exceeded', holder)
    } catch (error) {
      if (error instanceof BudgetError) throw error
      // Nothing is lost by a budget that only warns.
      if (allotment.isHard || allotment.startsOn === '') throw new BudgetError('budget_unavailable', holder, error)
    } finally {
      allotment.waiting -= nano
    }
  }

  #draw(allotment: Allotment, ahead: boolean): Promise<BudgetDraw | undefined> {
    allotment.drawing ??= this.#drawNow(allotment, ahead).finally(() => (allotment.drawing = undefined))
    return allotment.drawing
  }

  async #drawNow(allotment: Allotment, ahead: boolean): Promise<BudgetDraw | undefined> {
    const { store, node, clock } = this.#o
    const then = { askedAt: clock.monotonic(), freeThen: allotment.free }
    allotment.lookedAt = then.askedAt
    const answer = await store.draw(allotment.org, allotment.ask(node, ahead))
    if (answer === undefined) {
      allotment.gone = true
      return undefined
    }
    // Its period ended: whatever is under way in it is settled there, and the next call begins the new one.
    if (!allotment.drew(answer, then)) {
      allotment.endsAt = -Infinity
      return undefined
    }
    if (answer.leftNano === 0) this.#tell(allotment, answer)
    return answer
  }

  #tell(allotment: Allotment, { startsOn, spentNano, told }: BudgetDraw): void {
    if (told || allotment.told) return
    allotment.told = true
    this.#o.store.tell(allotment.org, allotment.budget, startsOn, spentNano).catch((error: unknown) => {
      allotment.told = false
      this.#o.logger.warn('That a budget is used up could not be put on record', { error })
    })
  }

  async #tendAll(): Promise<void> {
    const now = this.#o.clock.monotonic()
    for (const [key, { usedAt }] of this.#callers) if (now - usedAt > FORGOTTEN_MS) this.#callers.delete(key)
    await Promise.all([...this.#allotments.values()].map((allotment) => this.#tendOne(allotment, now)))
  }

  async #tendOne(allotment: Allotment, now: number): Promise<void> {
    const isIdle = now - allotment.usedAt > IDLE_MS
    const isQuiet = allotment.reserved + allotment.unwritten + allotment.waiting === 0
    if (allotment.gone || (isIdle && isQuiet && allotment.free <= 0) || allotment.isOver(now)) this.#forget(allotment)
    else if (isIdle && allotment.free > 0) await this.#look(allotment, false)
    else if (allotment.isHard && now - allotment.renewedAt >= RENEW_AFTER_MS) await this.#look(allotment, true)
    else if (!allotment.told && allotment.usedAt >= allotment.lookedAt) await this.#look(allotment, true)
  }

  async #look(allotment: Allotment, ahead: boolean): Promise<void> {
    try {
      await this.#draw(allotment, ahead)
    } catch (error) {
      this.#o.logger.debug('A budget could not be asked', { error })
    }
  }

  #forget(allotment: Allotment): void {
    if (this.#allotments.get(allotment.budget.id) === allotment) this.#allotments.delete(allotment.budget.id)
  }
}

function reservationOf(allotments: readonly Allotment[], nano: number): Reservation {
  let isOpen = true
  return {
    settle(cost = 0) {
      if (!isOpen) return []
      isOpen = false
      const charged = cost === 0 ? [] : allotments.filter(({ gone, startsOn }) => !gone && startsOn !== '')
      for (const one of allotments) one.settle(nano, cost, charged.includes(one))
      return charged.map(({ budget, startsOn }) => ({ budget: budget.id, startsOn, nano: cost }))
    },
  }
}
