/** Owns what every proof needs of its nodes, whatever they are. Data and signatures only. */
import type { Slot } from './slot.ts'
import type { TroubleWeights } from './schedule.ts'
import type { Population } from './population.ts'
import type { IssuerControl } from './hostile-issuer.ts'

export interface Crew {
  readonly slots: readonly Slot[]
  /** What may be done to them, and how often each is drawn. */
  readonly troubles: TroubleWeights
  /** Longest single trouble, and longest pause of a process: past the end of a lease. Milliseconds. */
  readonly longestMs: { readonly trouble: number; readonly pause: number }
  /** Callers ask for fresh tokens until `quiet`, of processes that start meanwhile too. */
  load(callersPerNode: number, seed: string): Promise<void>
  quiet(): Promise<void>
  /** Renews one credential by hand at one of the nodes, starting it where none lives. Whether the caller was given tokens. */
  renew(turn: number, credential: string): Promise<boolean>
  /** Calls by outcome. */
  counters(): Promise<Readonly<Record<string, number>>>
  close(): Promise<void>
}

/** What a proof runs on; given back by `close`, the crew with it. */
export interface Field {
  readonly issuer: IssuerControl
  /** The name of the one client at the issuer. */
  readonly client: string
  readonly population: Population
  readonly crew: Crew
  close(): Promise<void>
}
