/**
 * Owns what one node holds of one budget: what it may begin, what is under way, and what is spent and not written yet. Refuses to hold anything past its
 * lease: then others may have it.
 */
import type { Budget, BudgetAsk, BudgetDraw } from '../db/index.ts'
import type { OrgId } from '@sallyport/core'

/** How long what is held stays this node's without being renewed. */
export const LEASE_S = 60
/** Before its end by the database's clock: the two need not run alike. */
const LEASE_MS = 50_000
export const RENEW_AFTER_MS = 15_000
const MOST_NANO = 9e18

export class Allotment {
  readonly org: OrgId
  budget: Budget
  /** The first day of its period; empty until it was asked once. */
  startsOn = ''
  /** When its period ends, by the clock that never jumps. */
  endsAt = -Infinity
  /** Until when what it holds is its own. */
  leasedUntil = -Infinity
  renewedAt = -Infinity
  /** Nano-dollars that may be begun. Below zero after a call that cost more than was set aside. */
  free = 0
  reserved = 0
  unwritten = 0
  /** What calls that wait need. */
  waiting = 0
  usedAt = 0
  lookedAt = 0
  /** That it is used up is on record, or being put there. */
  told = false
  /** There is no such budget any more: nothing bounds. */
  gone = false
  drawing: Promise<BudgetDraw | undefined> | undefined

  constructor(org: OrgId, budget: Budget, now: number) {
    this.org = org
    this.budget = budget
    this.usedAt = now
  }

  get isHard(): boolean {
    return this.budget.enforcement === 'hard'
  }

  /** Whether a call of this cost may begin without asking. */
  has(nano: number, now: number): boolean {
    if (this.gone) return true
    if (now >= this.endsAt) return false
    return !this.isHard || (now < this.leasedUntil && this.free >= nano)
  }

  /** Whether it is this period's, as far as is known. One that was never asked is. */
  isOver(now: number): boolean {
    return this.startsOn !== '' && now >= this.endsAt
  }

  /** The next call asks. */
  doubt(): void {
    this.leasedUntil = -Infinity
  }

  /** Counted for one that only warns too: whether it does may change while the call is under way. */
  take(nano: number, now: number): void {
    this.usedAt = now
    this.free -= nano
    this.reserved += nano
  }

  /** What was set aside ends; what it cost is spent from now on, and unwritten until it is, where it will be. */
  settle(nano: number, cost: number, charged: boolean): void {
    this.reserved -= nano
    this.free += nano - cost
    if (charged) this.unwritten += cost
  }

  wrote(nano: number): void {
    this.unwritten = Math.max(0, this.unwritten - nano)
  }

  ask(node: string, ahead: boolean): BudgetAsk {
    const isHard = this.isHard
    return {
      budget: this.budget.id,
      node,
      busyNano: isHard ? bounded(this.reserved + this.unwritten) : 0,
      needNano: isHard ? bounded(this.waiting) : 0,
      ahead: ahead && isHard,
      seconds: LEASE_S,
    }
  }

  /** What was given stands for what was free when it was asked; what happened since goes on top. False: it is of another period. */
  drew(answer: BudgetDraw, { freeThen, askedAt }: { readonly freeThen: number; readonly askedAt: number }): boolean {
    if (this.startsOn !== '' && this.startsOn !== answer.startsOn) return false
    this.startsOn = answer.startsOn
    this.free += answer.freeNano - freeThen
    this.renewedAt = askedAt
    this.leasedUntil = askedAt + LEASE_MS
    this.endsAt = answer.endsInMs === undefined ? Infinity : askedAt + answer.endsInMs
    this.told ||= answer.told
    return true
  }
}

/** As the database takes it: whole, and no more than a column holds. */
function bounded(nano: number): number {
  return Math.min(Math.max(0, nano), MOST_NANO)
}
