/**
 * Owns a TCP wire that can be cut, held, slowed and reset: a proxy on loopback in front of one server. Refuses to look at what passes.
 * `hold` is the black hole: connections are made and stay, and no byte moves in either direction until `mend`.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface Wire {
  readonly port: number
  /** Ends what is open with a reset and refuses what comes, until `mend`. */
  cut(): void
  /** Nothing passes, nothing ends. What was sent meanwhile arrives after `mend`. */
  hold(): void
  /** Each piece is handed on so much later. 0 is `mend`. */
  delay(ms: number): void
  /** Ends what is open with a reset; new connections pass. */
  reset(): void
  mend(): void
  close(): Promise<void>
}

interface Pair {
  readonly near: Socket
  readonly far: Socket
}

export async function startWire(target: { readonly host: string; readonly port: number }): Promise<Wire> {
  const pairs = new Set<Pair>()
  let state: 'open' | 'cut' | 'held' = 'open'
  let delayMs = 0
  const server = createServer({ pauseOnConnect: true, noDelay: true }, (near) => {
    if (state === 'cut') {
      near.resetAndDestroy()
      return
    }
    const far = connect({ ...target, noDelay: true }).pause()
    const pair = { near, far }
    pairs.add(pair)
    join(pair, () => delayMs)
    const end = (): void => {
      pairs.delete(pair)
      near.destroy()
      far.destroy()
    }
    near.once('close', end)
    far.once('close', end)
    if (state === 'open') resume(pair)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const resetAll = (): void => {
    for (const { near, far } of pairs) {
      near.resetAndDestroy()
      far.resetAndDestroy()
    }
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut'
      resetAll()
    },
    hold() {
      state = 'held'
      for (const { near, far } of pairs) {
        near.pause()
        far.pause()
      }
    },
    delay: (ms) => void (delayMs = ms),
    reset: resetAll,
    mend() {
      state = 'open'
      delayMs = 0
      pairs.forEach(resume)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      resetAll()
      await closed
    },
  }
}

function resume({ near, far }: Pair): void {
  near.resume()
  far.resume()
}

function join({ near, far }: Pair, delayMs: () => number): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    // Pieces leave in the order they came, whatever the delay does meanwhile.
    let turn = Promise.resolve()
    from.on('data', (piece: Buffer) => {
      const ms = delayMs()
      if (ms > 0) turn = turn.then(() => later(ms))
      turn = turn.then(() => void to.write(piece))
    })
    from.on('end', () => void (turn = turn.then(() => void to.end())))
    // A reset on one side is the end of both: `close` follows and says so.
    from.on('error', () => undefined)
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
