/**
 * Owns what a proof does to its nodes and wires: a random sequence from the seed. Refuses to trouble most nodes at once, except by taking the
 * store from all of them, and to last longer than `longestMs`.
 */
import { setTimeout as after } from 'node:timers/promises'
import type { Slot } from './slot.ts'
import type { Chance } from './random.ts'

const TROUBLES = [
  'kill',
  'terminate',
  'pause',
  'clock',
  'store_cut',
  'store_hold',
  'store_delay',
  'store_reset',
  'issuer_cut',
  'issuer_hold',
  'issuer_reset',
  'all_stores_cut',
  'hint_cut',
  'hint_hold',
  'hint_reset',
] as const
type Trouble = (typeof TROUBLES)[number]

/** How often each is drawn. */
export type TroubleWeights = readonly (readonly [Trouble, number])[]

export const WORKER_TROUBLES: TroubleWeights = [
  ['kill', 6],
  ['terminate', 2],
  ['pause', 4],
  ['clock', 2],
  ['store_cut', 3],
  ['store_hold', 2],
  ['store_delay', 2],
  ['store_reset', 3],
  ['issuer_cut', 3],
  ['issuer_hold', 2],
  ['issuer_reset', 3],
  ['all_stores_cut', 1],
]

/** The clock of a whole gateway is the machine's, which no proof moves. */
export const GATEWAY_TROUBLES: TroubleWeights = [
  ...WORKER_TROUBLES.filter(([trouble]) => trouble !== 'clock'),
  ['hint_cut', 2],
  ['hint_hold', 2],
  ['hint_reset', 1],
]

/** Of them, what is over soon: a call that is never answered takes a gateway twenty seconds. */
export const QUICK_GATEWAY_TROUBLES: TroubleWeights = GATEWAY_TROUBLES.filter(
  ([trouble]) => trouble !== 'issuer_hold' && trouble !== 'pause',
)

/** Holders that are held up, and nothing else. */
export const PAUSES: TroubleWeights = [['pause', 1]]

const HOUR = 60 * 60 * 1000
/** Steps of a node's wall clock, in milliseconds (battery F-23). */
const STEPS = [-HOUR, -10 * 60_000, -1_000, 0, 1_000, 10 * 60_000] as const

export interface ScheduleOptions {
  readonly slots: readonly Slot[]
  readonly chance: Chance
  readonly troubles: TroubleWeights
  /** Longest single trouble, and longest pause of a process, in milliseconds. */
  readonly longestMs: { readonly trouble: number; readonly pause: number }
  /** Pauses between the beginnings of troubles, a range in milliseconds. */
  readonly everyMs: readonly [number, number]
  /** Asked before each; true ends the schedule. */
  readonly enough: () => boolean
}

/** Plays troubles until there were enough, then waits until all are over and every slot has a live worker. How many there were. */
export async function playTroubles(options: ScheduleOptions): Promise<number> {
  const { chance, everyMs, enough, longestMs } = options
  const busy = new Set<Slot>()
  const running = new Set<Promise<void>>()
  const failures: unknown[] = []
  // A minority: what a provider's grace is to cover ends while somebody is well.
  const atOnce = Math.max(1, Math.floor((options.slots.length - 1) / 2))
  let played = 0
  while (!enough() && failures.length === 0) {
    await after(chance.between(...everyMs))
    const trouble = chance.weighted(options.troubles)
    const slot = chance.pick(options.slots)
    const longest = trouble === 'pause' ? longestMs.pause : longestMs.trouble
    const lasting = chance.between(Math.ceil(longest / 20), longest)
    const step = chance.pick(STEPS)
    if (busy.has(slot) || busy.size >= atOnce || (trouble === 'all_stores_cut' && busy.size > 0)) continue
    const struck = trouble === 'all_stores_cut' ? options.slots : [slot]
    struck.forEach((one) => busy.add(one))
    played += 1
    const playing = play(trouble, struck, lasting, step)
      .catch((error: unknown) => void failures.push(error))
      .finally(() => {
        struck.forEach((one) => busy.delete(one))
        running.delete(playing)
      })
    running.add(playing)
  }
  await Promise.all(running)
  if (failures.length > 0) throw new AggregateError(failures, 'a trouble could not be played')
  return played
}

async function play(trouble: Trouble, slots: readonly Slot[], lastingMs: number, stepMs: number): Promise<void> {
  const [slot] = slots as [Slot]
  const during = async (undo: () => void): Promise<void> => {
    await after(lastingMs)
    undo()
  }
  const plays: Readonly<Record<Trouble, () => Promise<unknown>>> = {
    kill: () => slot.kill().then(() => slot.start()),
    terminate: () => slot.terminate().then(() => slot.start()),
    pause: () => during(slot.pause()),
    clock: () => slot.stepClock(stepMs),
    store_cut: () => during(slot.breakWire('store', 'cut')),
    store_hold: () => during(slot.breakWire('store', 'black_hole')),
    store_delay: () => during(slot.breakWire('store', 'delay', Math.ceil(lastingMs / 20))),
    store_reset: async () => slot.breakWire('store', 'reset')(),
    issuer_cut: () => during(slot.breakWire('issuer', 'cut')),
    issuer_hold: () => during(slot.breakWire('issuer', 'black_hole')),
    issuer_reset: async () => slot.breakWire('issuer', 'reset')(),
    hint_cut: () => during(slot.breakWire('hint', 'cut')),
    hint_hold: () => during(slot.breakWire('hint', 'black_hole')),
    hint_reset: async () => slot.breakWire('hint', 'reset')(),
    all_stores_cut: () => {
      const undo = slots.map((one) => one.breakWire('store', 'cut'))
      return during(() => undo.forEach((mend) => mend()))
    },
  }
  await plays[trouble]()
}
