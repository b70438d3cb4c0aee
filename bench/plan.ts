/** Owns how much is measured: rounds, seconds, connections. A plan's time is bounded by its own numbers. */

export interface Plan {
  readonly name: 'quick' | 'long' | 'tiny'
  /**
   * Per target, before anything is measured: code gets compiled, pools filled. By count, so that a slow target on a loaded machine is no colder than a
   * fast one; `seconds` bounds it.
   */
  readonly warmUp: { readonly calls: number; readonly seconds: number }
  readonly rounds: number
  /** 1 KB answers, as fast as they come. */
  readonly saturation: { readonly connections: number; readonly seconds: number }
  /** 1 KB answers at this share of what the gateway reached. */
  readonly moderate: { readonly connections: number; readonly seconds: number; readonly share: number }
  /** Larger bodies, as fast as they come, in the first `rounds` rounds. */
  readonly bodies: { readonly rounds: number; readonly seconds: number }
  readonly firstBytes: { readonly streams: number }
  /** Open at once. One organization gets 64 connections to one origin, a quarter of the pool; the load above asks for all of them. */
  readonly memory: { readonly streams: number; readonly rounds: number }
  readonly counting: { readonly seconds: number }
}

export const PLANS: Readonly<Record<Plan['name'], Plan>> = {
  /** Under three minutes. */
  quick: {
    name: 'quick',
    warmUp: { calls: 10_000, seconds: 10 },
    rounds: 5,
    saturation: { connections: 64, seconds: 1.5 },
    moderate: { connections: 64, seconds: 2, share: 0.3 },
    bodies: { rounds: 3, seconds: 1 },
    firstBytes: { streams: 100 },
    memory: { streams: 50, rounds: 3 },
    counting: { seconds: 2 },
  },
  /** About fifteen minutes. */
  long: {
    name: 'long',
    warmUp: { calls: 50_000, seconds: 60 },
    rounds: 15,
    saturation: { connections: 64, seconds: 3 },
    moderate: { connections: 64, seconds: 5, share: 0.3 },
    bodies: { rounds: 5, seconds: 3 },
    firstBytes: { streams: 200 },
    memory: { streams: 50, rounds: 7 },
    counting: { seconds: 10 },
  },
  /** A few seconds: shows that everything works, measures nothing worth reading. */
  tiny: {
    name: 'tiny',
    warmUp: { calls: 100, seconds: 1 },
    rounds: 2,
    saturation: { connections: 4, seconds: 0.1 },
    moderate: { connections: 4, seconds: 0.1, share: 0.3 },
    bodies: { rounds: 2, seconds: 0.1 },
    firstBytes: { streams: 3 },
    memory: { streams: 5, rounds: 1 },
    counting: { seconds: 0.2 },
  },
}
