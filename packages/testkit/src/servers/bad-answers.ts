/** Owns the ways in which a server answers badly that have nothing to do with what it serves. Refuses to know what the answer means. */
import type { ServerResponse } from 'node:http'

/**
 * `slow`: all of it, after a while. `trickle`: half of it, and then nothing. `cut`: half of it, and the end of the connection. `flood`: without an
 * end. `silent`: nothing. `reset`: the end of the connection. `page`: what a proxy in front says.
 */
export const BAD_ANSWERS = ['slow', 'trickle', 'cut', 'flood', 'silent', 'reset', 'page'] as const
export type BadAnswer = (typeof BAD_ANSWERS)[number]

export interface GoodAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

const SLOW_MS = 120

export function isBadAnswer(way: string): way is BadAnswer {
  return BAD_ANSWERS.some((known) => known === way)
}

/** Gives the answer that should have been given, in one of those ways. */
export function answerBadly(response: ServerResponse, way: BadAnswer, { status, type, body }: GoodAnswer): void {
  const half = body.slice(0, body.length / 2)
  const head = (): ServerResponse => response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body) })
  if (way === 'slow') setTimeout(() => head().end(body), SLOW_MS)
  else if (way === 'trickle') head().write(half)
  else if (way === 'cut') head().write(half, () => response.destroy())
  else if (way === 'flood') flood(response.writeHead(status, { 'content-type': type }))
  else if (way === 'reset') response.socket?.resetAndDestroy()
  else if (way === 'page') response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')
}

function flood(response: ServerResponse): void {
  const more = (): void => {
    while (!response.destroyed && response.write(' '.repeat(65_536)));
  }
  response.on('drain', more)
  more()
}
