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

/** Whoever holds something already may have so many times what is free: alone two thirds of all, two of them two fifths each. */
const TIMES_FREE = 2

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
      if (bytes > free || (own > 0 && own + bytes > free * TIMES_FREE)) return false
      change(owner, own, bytes)
      return true
    },
    leave(owner, bytes) {
      change(owner, byOwner.get(owner) ?? 0, -bytes)
    },
  }
}
