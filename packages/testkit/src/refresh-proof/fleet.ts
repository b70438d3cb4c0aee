/**
 * Owns the nodes of a proof: a fixed number of slots, each with its own wires to the store and to the issuer and its own spill folder, and in
 * each slot one worker after another. Writes down what was done to whom. Refuses to judge.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { NodeFault, WireFault } from './history.ts'
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

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Longest drain of a worker that was asked to end (battery F-26). */
const DRAIN_MS = 30_000
const ENDING: ReadonlySet<NodeFault['kind']> = new Set(['kill', 'terminate'])

export class Slot {
  readonly name: string
  readonly nodeFaults: Writable<NodeFault>[] = []
  readonly wireFaults: Writable<WireFault>[] = []
  /** Workers that ended without being told to. */
  readonly crashes: string[] = []
  readonly #settings: FleetSettings
  readonly #wires: Readonly<Record<WireFault['to'], Wire>>
  #lives = 0
  #closing = false
  #clockOffsetMs = 0
  #worker: Worker | undefined
  /** Said again to each new worker of the slot. */
  #standing: WorkerCommand | undefined

  constructor(name: string, settings: FleetSettings, wires: Readonly<Record<WireFault['to'], Wire>>) {
    this.name = name
    this.#settings = settings
    this.#wires = wires
  }

  /** The worker that lives, if one does. */
  get worker(): Worker | undefined {
    return this.#worker?.alive() === true ? this.#worker : undefined
  }

  async start(): Promise<Worker> {
    const { store, issuerOrigin, folder, ...rest } = this.#settings
    const spillFolder = join(folder, this.name)
    await mkdir(spillFolder, { recursive: true, mode: 0o700 })
    this.#worker = await startWorker({
      ...rest,
      node: `${this.name}.${++this.#lives}`,
      store: { ...store, url: onPort(store.url, this.#wires.store.port) },
      issuerOrigin: onPort(issuerOrigin, this.#wires.issuer.port).replace(/\/$/u, ''),
      spillFolder,
      clockOffsetMs: this.#clockOffsetMs,
    })
    void this.#watch(this.#worker)
    if (this.#standing !== undefined) await this.#worker.ask(this.#standing)
    return this.#worker
  }

  async #watch({ node, ended }: Worker): Promise<void> {
    await ended
    if (!this.#closing && !this.nodeFaults.some((fault) => fault.node === node && ENDING.has(fault.kind))) this.crashes.push(node)
  }

  /** Says it now, and to each worker that comes after in this slot, until something else is. */
  async stand(command: WorkerCommand | undefined): Promise<void> {
    this.#standing = command
    if (command !== undefined) await this.worker?.ask(command)
  }

  async kill(): Promise<void> {
    const worker = this.worker
    if (worker === undefined) return
    this.note('kill')
    await worker.kill()
  }

  /** What a test did by other means than the methods here. */
  note(kind: NodeFault['kind'], until: number | null = null): Writable<NodeFault> {
    const fault = { node: this.#worker!.node, kind, at: Date.now(), until }
    this.nodeFaults.push(fault)
    return fault
  }

  /** Its exit code, 0 for one that drained; null when it had to be killed. */
  async terminate(): Promise<number | null | undefined> {
    const worker = this.worker
    if (worker === undefined) return undefined
    const fault = this.note('terminate')
    const code = await worker.terminate(DRAIN_MS)
    fault.until = Date.now()
    if (code === null) this.note('kill')
    return code
  }

  pause(): () => void {
    const worker = this.worker
    if (worker === undefined) return () => undefined
    const fault = this.note('pause')
    // Until it is known, the pause has no end: what happens meanwhile lies within it.
    fault.until = Number.MAX_SAFE_INTEGER
    worker.pause()
    return () => {
      worker.resume()
      fault.until = Date.now()
    }
  }

  async stepClock(byMs: number): Promise<void> {
    this.#clockOffsetMs = byMs
    if (this.worker === undefined) return
    this.note('clock')
    await this.worker.ask({ do: 'clock', offsetMs: byMs })
  }

  /** Breaks a wire until the result is called. */
  breakWire(to: WireFault['to'], kind: WireFault['kind'], delayMs = 0): () => void {
    const wire = this.#wires[to]
    const fault: Writable<WireFault> = { slot: this.name, to, kind, at: Date.now(), until: Number.MAX_SAFE_INTEGER }
    this.wireFaults.push(fault)
    if (kind === 'delay') wire.delay(delayMs)
    else if (kind === 'black_hole') wire.hold()
    else wire[kind]()
    return () => {
      wire.mend()
      fault.until = Date.now()
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    await this.worker?.kill()
    await Promise.all(Object.values(this.#wires).map((wire) => wire.close()))
  }
}

/** Makes `count` slots named a, b, c... and starts a worker in each. */
export async function startFleet(count: number, settings: FleetSettings): Promise<readonly Slot[]> {
  const slots = await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [store, issuer] = await Promise.all([startWire(addressOf(settings.store.url)), startWire(addressOf(settings.issuerOrigin))])
      return new Slot(String.fromCodePoint(97 + index), settings, { store, issuer })
    }),
  )
  await Promise.all(slots.map((slot) => slot.start()))
  return slots
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

function onPort(url: string, port: number): string {
  const moved = new URL(url)
  moved.port = String(port)
  return moved.href
}
