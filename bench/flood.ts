/**
 * Owns a flood of bad keys, in a process of its own: requests that are built once, sent at a rate from many addresses, whatever is answered. One in three
 * is no key by its form, one names an id that nobody has, one a true id with a wrong secret. Bounded in time and connections.
 */
import { connect } from 'node:net'
import { mintGatewayKey, newId, parseId } from '@sallyport/core'
import { AnswerReader } from './answer-reader.ts'

export interface FloodOrder {
  readonly type: 'flood'
  readonly port: number
  readonly path: string
  /** `key_...` of a key that is good; its secret is nobody's business here. */
  readonly trueId: string
  readonly connections: number
  readonly perSecond: number
  readonly seconds: number
}

export interface FloodResult {
  readonly type: 'flooded'
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>
  /** Requests that found no free connection before the end. */
  readonly unsent: number
}

const REQUESTS = 3_000
const ADDRESSES = 2_000

function requests({ port, path, trueId }: FloodOrder): Buffer[] {
  const id = parseId('key', trueId)!
  return Array.from({ length: REQUESTS }, (_, n) => {
    const key = n % 3 === 0 ? `sp_test_${'A'.repeat(73)}` : mintGatewayKey('test', n % 3 === 1 ? newId('key') : id).text.reveal()
    const from = `198.18.${Math.floor((n % ADDRESSES) / 250)}.${(n % ADDRESSES) % 250}`
    const head = [`GET ${path} HTTP/1.1`, `host: 127.0.0.1:${port}`, `authorization: Bearer ${key}`, `x-forwarded-for: ${from}`]
    return Buffer.from(`${head.join('\r\n')}\r\n\r\n`)
  })
}

async function flood(order: FloodOrder): Promise<FloodResult> {
  const texts = requests(order)
  const statuses: Record<string, number> = {}
  const idle: (() => void)[] = []
  let [sent, due, over] = [0, 0, false]
  const sockets = Array.from({ length: order.connections }, () => {
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true })
    const send = (): void => void socket.write(texts[sent++ % texts.length]!)
    const next = (): void => (sent < due && !over ? send() : void idle.push(send))
    const reader = new AnswerReader(({ status }) => {
      statuses[status] = (statuses[status] ?? 0) + 1
      next()
    })
    socket.on('data', (chunk: Buffer) => reader.take(chunk))
    socket.on('error', () => undefined)
    socket.on('close', () => over || (statuses['closed'] = (statuses['closed'] ?? 0) + 1))
    next()
    return socket
  })
  const began = performance.now()
  const pace = setInterval(() => {
    due = Math.floor(((performance.now() - began) * order.perSecond) / 1000)
    for (const send of idle.splice(0, Math.max(0, due - sent))) send()
  }, 1)
  await new Promise((resolve) => setTimeout(resolve, order.seconds * 1000))
  over = true
  clearInterval(pace)
  for (const socket of sockets) socket.destroy()
  return { type: 'flooded', statuses, unsent: Math.max(0, due - sent) }
}

process.on('message', (order: FloodOrder) => void flood(order).then((result) => process.send?.(result)))
process.on('disconnect', () => process.exit(0))
process.send?.({ type: 'ready', port: 0 })
