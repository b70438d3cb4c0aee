/**
 * Owns how much of each an organization may have, so that no tenant fills the installation by itself. Refuses one more where there is no room; what is
 * there stays, also where the bound was lowered below it.
 */
import { systemClock, TransientMap } from '@sallyport/core'
import { countUpTo } from '../db/index.ts'
import type { Counted, TenantTx } from '../db/index.ts'
import { OrganizationError } from './organization-error.ts'

/** The most of each, as the operator has set it. */
export type Room = Readonly<Record<Counted, number>>

const ADVICE: Readonly<Record<Counted, string>> = {
  connections: 'connections as it may have here. Disconnect those that nobody uses',
  integrations: 'integrations as it may have here. Delete those that nobody uses',
  members: 'members and open invitations as it may have here. Take back invitations that nobody accepts',
  projects: 'projects, archived ones counted, as it may have here. Use one that is there',
  providerKeys: 'keys of model providers as it may have here. Revoke those that nobody uses',
}

/** So many are counted each time. More cost the database more than what is being made. */
const FEW = 1_000
/** Of more it is remembered how far they are from the bound, for so long, and that they are at it. */
const FAR_MS = 60_000
const FULL_MS = 5_000
/** Organizations with many of something. Beyond them all are counted anew. */
const MOST_REMEMBERED = 10_000

interface Standing {
  readonly until: number
  /** How many more may be made before they are counted again; 0: none. */
  left: number
}

/** By organization and what is counted. */
const standings = new WeakMap<Room, TransientMap<string, Standing>>()

/**
 * As many that are being made at the same moment may pass by it: nobody waits for another's. Where there are many, a thousandth more on each node, and room
 * that was made is seen after seconds.
 * @throws OrganizationError `resource_limit`
 */
export async function requireRoom(tx: TenantTx, room: Room, what: Counted, count = countUpTo): Promise<void> {
  const known = standings.get(room) ?? new TransientMap<string, Standing>()
  standings.set(room, known)
  const name = `${tx.org} ${what}`
  const now = systemClock.monotonic()
  const remembered = known.get(name)
  const standing =
    remembered !== undefined && now < remembered.until ? remembered : standingOf(await count(tx, what, room[what]), room[what], now)
  const isFull = standing.left === 0
  if (!isFull) standing.left -= 1
  if (standing.until > now && (isFull || standing.left > 0)) remember(known, name, standing)
  else known.delete(name)
  if (isFull) throw new OrganizationError('resource_limit', `The organization has as many ${ADVICE[what]}, or ask the operator.`)
}

function remember(known: TransientMap<string, Standing>, name: string, standing: Standing): void {
  if (known.size >= MOST_REMEMBERED) known.clear()
  known.set(name, standing)
}

/** Of few it is over at once. */
function standingOf(count: number, most: number, now: number): Standing {
  if (count >= most) return { until: count > FEW ? now + FULL_MS : now, left: 0 }
  if (count <= FEW) return { until: now, left: 1 }
  return { until: now + FAR_MS, left: Math.max(Math.ceil(most / 1_000), Math.floor((most - count) / 16)) }
}
