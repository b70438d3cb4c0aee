/** Owns the names of the points between which a refresh can be interrupted. Refuses to do anything there in production. */

/**
 * In the order in which one refresh meets them:
 *
 *   begun            the flight is set; nothing was asked yet
 *   lease_asked      before the hint and the lease are asked for
 *   lease_held       the lease is ours
 *   head_read        the head was read again under the lease
 *   intent_asked     before the intent is written
 *   intent_written   the intent is committed
 *   call_cleared     the lease was proved; the call comes next
 *   call_answered    the provider's answer is in memory
 *   answer_sealed    tokens came and are sealed, not saved
 *   settling         before the outcome is written: the new version, or what went wrong
 *   settled          the outcome is written
 *   lease_released   nothing is held any more
 */
export const CHECKPOINTS = [
  'begun',
  'lease_asked',
  'lease_held',
  'head_read',
  'intent_asked',
  'intent_written',
  'call_cleared',
  'call_answered',
  'answer_sealed',
  'settling',
  'settled',
  'lease_released',
] as const

/** Where in a refresh a fault can be driven in. */
export type Checkpoint = (typeof CHECKPOINTS)[number]

/** Called, and awaited, at each point. For tests and fault drivers; a promise that never settles there is a process that died there. */
export type CheckpointHook = (point: Checkpoint) => Promise<void> | void
