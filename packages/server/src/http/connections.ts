/**
 * Owns how many connections clients hold. Refuses the ones past the bounds at once and unread, and lets one address take the places of all others
 * as little as many that only wait.
 */
import type { Server } from 'node:http'
import type { Socket } from 'node:net'

export interface ConnectionBounds {
  readonly maxConnections: number
  readonly maxConnectionsPerAddress: number
  /** What connections of one address are counted under; undefined: not counted by address. */
  readonly addressGroup?: ((address: string) => string | undefined) | undefined
}

export interface HeldConnections {
  /** Cuts every connection, those that agreed on no TLS yet included. */
  cutAll(): void
}

/** Between two looks for connections without a request, when places run out. */
const MAKE_ROOM_EVERY_MS = 1_000

export function holdConnections(
  server: Server,
  { maxConnections, maxConnectionsPerAddress, addressGroup }: ConnectionBounds,
): HeldConnections {
  const held = new Map<Socket, () => void>()
  const byGroup = new Map<string, number>()
  let roomMadeAt = -Infinity

  /** Clients open another when the one that they kept is closed between two requests (RFC 9112 section 9.5). */
  const makeRoom = (): void => {
    if (performance.now() - roomMadeAt < MAKE_ROOM_EVERY_MS) return
    roomMadeAt = performance.now()
    server.closeIdleConnections()
    // Their places are free now, not when they say that they are closed: whoever asked for room is here now.
    for (const [socket, leaves] of held) if (socket.destroyed) leaves()
  }

  const enter = (socket: Socket): boolean => {
    if (held.size >= maxConnections) makeRoom()
    if (held.size >= maxConnections) return false
    const group = addressGroup?.(socket.remoteAddress ?? '')
    const before = group === undefined ? 0 : (byGroup.get(group) ?? 0)
    if (before >= maxConnectionsPerAddress) return false
    if (group !== undefined) byGroup.set(group, before + 1)
    const leaves = (): void => {
      if (held.delete(socket) && group !== undefined) leave(byGroup, group)
    }
    held.set(socket, leaves)
    socket.once('close', leaves)
    return true
  }

  // With TLS this is the connection below it.
  server.on('connection', (socket: Socket) => {
    if (!enter(socket)) socket.destroy()
  })
  return {
    cutAll() {
      server.closeAllConnections()
      for (const socket of held.keys()) socket.destroy()
    },
  }
}

function leave(byGroup: Map<string, number>, group: string): void {
  const left = byGroup.get(group)! - 1
  if (left === 0) byGroup.delete(group)
  else byGroup.set(group, left)
}
