/**
 * Owns a TCP wire that can be cut, held, slowed and reset: a proxy on loopback in front of one server. Refuses to look at what passes.
 * `hold` is the black hole: connections are made and stay, and no byte moves in either direction.
 */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

export interface Wire {
  readonly port: number
  /** Ends what is open with a reset and refuses what comes, until `mend`. */
  cut(): void
  /** Nothing passes. What was sent meanwhile arrives after `mend`, unless its sender has given up by then: then it is lost, as packets are. */
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
  /** What came while the wire was held, with the socket it is for. */
  readonly held: (readonly [to: Socket, piece: Buffer])[]
}

export async function startWire(target: { readonly host: string; readonly port: number }): Promise<Wire> {
  const pairs = new Set<Pair>()
  let state: 'open' | 'cut' | 'held' = 'open'
  let delayMs = 0
  const server = createServer({ noDelay: true }, (near) => {
    if (state === 'cut') {
      breakOff(near)
      return
    }
    const pair: Pair = { near, far: connect({ ...target, noDelay: true }), held: [] }
    pairs.add(pair)
    join(pair, () => (state === 'held' ? 'held' : delayMs))
    for (const socket of [pair.near, pair.far])
      socket.once('close', () => {
        pairs.delete(pair)
        pair.near.destroy()
        pair.far.destroy()
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const resetAll = (): void => {
    for (const { near, far } of pairs) {
      breakOff(near)
      breakOff(far)
    }
  }
  return {
    port: (server.address() as AddressInfo).port,
    cut() {
      state = 'cut'
      resetAll()
    },
    hold: () => void (state = 'held'),
    delay: (ms) => void (delayMs = ms),
    reset: resetAll,
    mend() {
      state = 'open'
      delayMs = 0
      for (const { held } of pairs) for (const [to, piece] of held.splice(0)) to.write(piece)
    },
    async close() {
      const closed = once(server, 'close')
      server.close()
      resetAll()
      await closed
    },
  }
}

/** A reset, unless it is saying goodbye already: libuv refuses to reset such a socket, and Node then never closes it. */
function breakOff(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

function join({ near, far, held }: Pair, fate: () => 'held' | number): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    // Pieces leave in the order they came, whatever the delay does meanwhile.
    let turn = Promise.resolve()
    const pass = (piece: Buffer): void => {
      if (fate() === 'held') held.push([to, piece])
      else if (to.writable) to.write(piece)
    }
    from.on('data', (piece: Buffer) => {
      const now = fate()
      const due = now === 'held' || now === 0 ? undefined : later(now)
      turn = turn.then(() => due).then(() => pass(piece))
    })
    // Who says goodbye while the wire is held has given up: what it sent is not delivered after its end.
    from.on('end', () => void (turn = turn.then(() => void (fate() === 'held' ? from.destroy() : to.end()))))
    // A reset on one side is the end of both: `close` follows and says so.
    from.on('error', () => undefined)
  }
}

function later(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
