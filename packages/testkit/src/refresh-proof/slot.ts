/**
 * Owns one place of a proof in which one process runs after another, with wires of its own: starts, stops, pauses and kills what runs there,
 * breaks its wires, and writes down what was done to whom. Refuses to know what runs, and to judge.
 */
import type { NodeFault, WireFault } from './history.ts'
import type { Wire } from './wire.ts'

/** A process of a proof, seen from outside. */
export interface NodeProcess {
  /** `slot.life`. */
  readonly node: string
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGTERM: it drains. Resolves with its exit code; one that is not done within `patienceMs` is killed, and gives null. */
  terminate(patienceMs: number): Promise<number | null>
  pause(): void
  resume(): void
  /** Resolves when it has ended, by whatever cause. */
  readonly ended: Promise<unknown>
  readonly alive: () => boolean
}

export type Wires = Readonly<Partial<Record<WireFault['to'], Wire>>>

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** Longest drain of a process that was asked to end (battery F-26). */
const DRAIN_MS = 30_000
const ENDING: ReadonlySet<NodeFault['kind']> = new Set(['kill', 'terminate'])

export abstract class Slot<P extends NodeProcess = NodeProcess> {
  readonly name: string
  readonly nodeFaults: Writable<NodeFault>[] = []
  readonly wireFaults: Writable<WireFault>[] = []
  /** Processes that ended without being told to. */
  readonly crashes: string[] = []
  protected readonly wires: Wires
  readonly #drainMs: number
  #lives = 0
  #closing = false
  #process: P | undefined

  constructor(name: string, wires: Wires, drainMs = DRAIN_MS) {
    this.name = name
    this.wires = wires
    this.#drainMs = drainMs
  }

  /** Starts the process of this name here. */
  protected abstract launch(node: string): Promise<P>

  /** The process that lives, if one does. */
  get process(): P | undefined {
    return this.#process?.alive() === true ? this.#process : undefined
  }

  async start(): Promise<P> {
    const started = await this.launch(`${this.name}.${++this.#lives}`)
    this.#process = started
    void this.#watch(started)
    return started
  }

  async #watch({ node, ended }: P): Promise<void> {
    await ended
    if (!this.#closing && !this.nodeFaults.some((fault) => fault.node === node && ENDING.has(fault.kind))) this.crashes.push(node)
  }

  async kill(): Promise<void> {
    const { process } = this
    if (process === undefined) return
    this.note('kill')
    await process.kill()
  }

  /** What a test did by other means than the methods here. */
  note(kind: NodeFault['kind'], until: number | null = null): Writable<NodeFault> {
    const fault = { node: this.#process!.node, kind, at: Date.now(), until }
    this.nodeFaults.push(fault)
    return fault
  }

  /** Its exit code, 0 for one that drained; null when it had to be killed. */
  async terminate(): Promise<number | null | undefined> {
    const { process } = this
    if (process === undefined) return undefined
    const fault = this.note('terminate')
    const code = await process.terminate(this.#drainMs)
    fault.until = Date.now()
    if (code === null) this.note('kill')
    return code
  }

  pause(): () => void {
    const { process } = this
    if (process === undefined) return () => undefined
    const fault = this.note('pause')
    // Until it is known, the pause has no end: what happens meanwhile lies within it.
    fault.until = Number.MAX_SAFE_INTEGER
    process.pause()
    return () => {
      process.resume()
      fault.until = Date.now()
    }
  }

  /** Moves the wall clock of what runs here. @throws Error where it is the machine's. */
  stepClock(_byMs: number): Promise<void> {
    throw new Error(`the clock of ${this.name} is the machine's`)
  }

  /** Breaks a wire until the result is called. @throws Error where there is no such wire. */
  breakWire(to: WireFault['to'], kind: WireFault['kind'], delayMs = 0): () => void {
    const wire = this.wires[to]
    if (wire === undefined) throw new Error(`${this.name} has no wire to the ${to}`)
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
    await this.process?.kill()
    await Promise.all(Object.values(this.wires).map((wire) => wire.close()))
  }
}

export function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

/** The same address on loopback, by way of a wire. */
export function throughWire(url: string, { port }: Wire): string {
  const moved = new URL(url)
  moved.hostname = '127.0.0.1'
  moved.port = String(port)
  return moved.href
}
