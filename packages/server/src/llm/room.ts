/**
 * Owns how many bytes of calls may be held in memory at once, of all organizations together. Refuses to let one of them have so much of that that the others find
 * no room.
 */
import type { OrgId } from '@sallyport/core'

export interface Room {
  /** False: there is none for so many more. Else they are given back by `leave`, at once or in parts. */
  enter(owner: OrgId, bytes: number): boolean
  leave(owner: OrgId, bytes: number): void
}

/**
 * Whoever holds nothing is let in where there is room at all; whoever holds something may have no more than stays free beside it: alone a half of all, two of them a third
 * each. With room for two of the largest, what one organization does never keeps a second one out.
 */
/** @param most bytes */
export function createRoom(most: number): Room {
  let held = 0
  const byOwner = new Map<OrgId, number>()
  const change = (owner: OrgId, own: number, by: number): void => {
    held += by
    if (own + by === 0) byOwner.delete(owner)
    else byOwner.set(owner, own + by)
  }
  return {
    enter(owner, bytes) {
      const [free, own] = [most - held, byOwner.get(owner) ?? 0]
      if (bytes > free || (own > 0 && own + bytes > free - bytes)) return false
      change(owner, own, bytes)
      return true
    },
    leave(owner, bytes) {
      change(owner, byOwner.get(owner) ?? 0, -bytes)
    },
  }
}
