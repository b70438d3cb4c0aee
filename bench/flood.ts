/**
 * Owns a flood of bad keys, in a process of its own: requests that are built before it begins, each with a key of its own, sent at an even rate from many
 * addresses, whatever is answered. Refuses to make up for lost time in a burst: what it was held up for is spread over what follows, or is missing at the
 * end and said to be. Bounded in time and connections.
 */
import { connect } from 'node:net'
import { mintGatewayKey, newId, parseId } from '@sallyport/core'
import type { KeyId } from '@sallyport/core'
import { AnswerReader } from './answer-reader.ts'
import { giveWay } from './machine.ts'
import type { BadKey, FloodOrder, FloodResult, FloodStart } from './messages.ts'
import { quantile } from './statistics.ts'

/** What was missed is made up for at twice the rate, not at once. */
const CATCH_UP = 2

function keyOf(kind: BadKey, trueId: KeyId): string {
  if (kind === 'formless') return `sp_test_${'A'.repeat(73)}`
  return mintGatewayKey('test', kind === 'absent' ? newId('key') : trueId).text.reveal()
}

function requests({ port, path, trueId, kinds, addresses, perSecond, seconds }: FloodOrder): Buffer[] {
  const id = parseId('key', trueId)!
  return Array.from({ length: Math.ceil(perSecond * seconds) }, (_, n) => {
    const from = `198.18.${Math.floor((n % addresses) / 250)}.${(n % addresses) % 250}`
    const head = [
      `GET ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      `authorization: Bearer ${keyOf(kinds[n % kinds.length]!, id)}`,
      `x-forwarded-for: ${from}`,
    ]
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n`)
  })
}

/** Calls `send` so often, spread evenly; false from it: none more can be sent now. */
class Pace {
  readonly #perSecond: number
  readonly #began = performance.now()
  readonly #gaps: number[] = []
  #last = this.#began
  #sent = 0
  #largest = 0

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  tick(send: () => boolean): void {
    const now = performance.now()
    this.#gaps.push(now - this.#last)
    this.#last = now
    const most = Math.ceil((this.#perSecond * CATCH_UP) / 1000)
    let of = 0
    while (of < most && this.#sent < this.#due(now) && send()) {
      of += 1
      this.#sent += 1
    }
    this.#largest = Math.max(this.#largest, of)
  }

  end(): Pick<FloodResult, 'unsent' | 'pace'> {
    const gaps = this.#gaps.toSorted((a, b) => a - b)
    const at = (q: number): number => Math.round(quantile(gaps, q) * 100) / 100
    const pace = { largest: this.#largest, gapP50Ms: at(0.5), gapP99Ms: at(0.99) }
    return { unsent: Math.max(0, this.#due(performance.now()) - this.#sent), pace }
  }

  #due(now: number): number {
    return Math.floor(((now - this.#began) * this.#perSecond) / 1000)
  }
}

async function flood(order: FloodOrder, texts: readonly Buffer[]): Promise<FloodResult> {
  const statuses: Record<string, number> = {}
  const count = (what: string): void => void (statuses[what] = (statuses[what] ?? 0) + 1)
  const idle: ((text: Buffer) => void)[] = []
  let over = false
  const open = () => {
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true })
    const send = (text: Buffer): void => void socket.write(text)
    const reader = new AnswerReader(({ status }) => {
      count(String(status))
      idle.push(send)
    })
    socket.on('data', (chunk: Buffer) => reader.take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => over || count('closed'))
    idle.push(send)
    return socket
  }
  const sockets = Array.from({ length: order.connections }, open)
  const pace = new Pace(order.perSecond)
  let next = 0
  const send = (): boolean => {
    const free = next < texts.length ? idle.shift() : undefined
    free?.(texts[next++]!)
    return free !== undefined
  }
  const ticking = setInterval(() => pace.tick(send), 1)
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1000))
  over = true
  clearInterval(ticking)
  const result = { type: 'flooded', statuses, ...pace.end() } as const
  for (const socket of sockets) socket.destroy()
  return result
}

let armed: (() => Promise<FloodResult>) | undefined

/** In two orders: making 300,000 keys takes seconds of the core that good callers are measured on, and is no part of a flood. */
function obey(order: FloodOrder | FloodStart): void {
  if (order.type === 'arm') {
    const texts = requests(order)
    armed = () => flood(order, texts)
    process.send?.({ type: 'armed' })
    return
  }
  const begin = armed
  armed = undefined
  if (begin === undefined) throw new Error('A flood is begun that was not made.')
  void begin().then((result) => process.send?.(result))
}

giveWay()
process.on('message', obey)
process.on('disconnect', () => process.exit(0))
process.send?.({ type: 'ready', port: 0 })
