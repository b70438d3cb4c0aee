/**
 * Owns the workers of a proof: a fixed number of slots, each with its own wires to the store and to the issuer and its own spill folder, and
 * in each slot one worker after another. Refuses to judge.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { addressOf, Slot, throughWire } from './slot.ts'
import { startWire } from './wire.ts'
import type { Wire } from './wire.ts'
import { startWorker } from './worker-process.ts'
import type { Worker } from './worker-process.ts'
import type { WorkerCommand, WorkerSettings } from './worker-messages.ts'

/** What all workers of a fleet are told alike. URLs are the servers' own; each slot gets its wire's in their place. */
export type FleetSettings = Pick<
  WorkerSettings,
  'store' | 'encryptionKey' | 'issuerOrigin' | 'client' | 'rotation' | 'requestLifetimeMs' | 'bufferMs'
> & {
  /** Spill folders are made in it. The caller removes it. */
  readonly folder: string
}

export class WorkerSlot extends Slot<Worker> {
  readonly #settings: FleetSettings
  readonly #through: Readonly<Record<'store' | 'issuer', Wire>>
  #clockOffsetMs = 0
  /** Said again to each new worker of the slot. */
  #standing: WorkerCommand | undefined

  constructor(name: string, settings: FleetSettings, wires: Readonly<Record<'store' | 'issuer', Wire>>) {
    super(name, wires)
    this.#settings = settings
    this.#through = wires
  }

  protected override async launch(node: string): Promise<Worker> {
    const { store, issuerOrigin, folder, ...rest } = this.#settings
    const spillFolder = join(folder, this.name)
    await mkdir(spillFolder, { recursive: true, mode: 0o700 })
    return await startWorker({
      ...rest,
      node,
      store: { ...store, url: throughWire(store.url, this.#through.store) },
      issuerOrigin: throughWire(issuerOrigin, this.#through.issuer).replace(/\/$/u, ''),
      spillFolder,
      clockOffsetMs: this.#clockOffsetMs,
    })
  }

  override async start(): Promise<Worker> {
    const worker = await super.start()
    if (this.#standing !== undefined) await worker.ask(this.#standing)
    return worker
  }

  /** Says it now, and to each worker that comes after in this slot, until something else is. */
  async stand(command: WorkerCommand | undefined): Promise<void> {
    this.#standing = command
    if (command !== undefined) await this.process?.ask(command)
  }

  override async stepClock(byMs: number): Promise<void> {
    this.#clockOffsetMs = byMs
    if (this.process === undefined) return
    this.note('clock')
    await this.process.ask({ do: 'clock', offsetMs: byMs })
  }
}

/** Makes `count` slots named a, b, c... and starts a worker in each. */
export async function startFleet(count: number, settings: FleetSettings): Promise<readonly WorkerSlot[]> {
  const slots = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [store, issuer] = await Promise.all([startWire(addressOf(settings.store.url)), startWire(addressOf(settings.issuerOrigin))])
      return new WorkerSlot(slotName(index), settings, { store, issuer })
    }),
  )
  await Promise.all(slots.map((slot) => slot.start()))
  return slots
}

/** a, b, c... */
export function slotName(index: number): string {
  return String.fromCodePoint(97 + index)
}
