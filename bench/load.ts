/**
 * Owns making load and timing the answers, in a process of its own, on raw sockets with requests that are built once. Every answer is
 * checked for its status and length. Bounded in time and connections; answers that never come are errors. It decides nothing: orders come over its channel.
 *
 * Paced load is sent in ticks of about a millisecond, and is timed from its tick even when no connection is free: a slow answer delays none that follow
 * in the record.
 */
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { AnswerReader } from './answer-reader.ts'
import type { Call, FirstBytesOrder, HoldOrder, LoadOrder, LoadResult, Order } from './messages.ts'
import { quantile } from './statistics.ts'

/** Longest wait for answers that are still out when the load ends. Milliseconds. */
const LAST_ANSWERS_MS = 5_000

/** A connection with at most one request under way. */
class Line {
  readonly #socket: Socket
  readonly #done: (line: Line, tookMs: number, error: string | undefined) => void
  readonly #call: Call
  /** When the request under way was due; undefined: idle. */
  #since: number | undefined
  #firstMs: number | undefined
  #closing = false

  constructor(call: Call, timing: 'last byte' | 'first byte', done: (line: Line, tookMs: number, error: string | undefined) => void) {
    this.#call = call
    this.#done = done
    this.#socket = connect({ port: call.port, host: '127.0.0.1', noDelay: true })
    const reader = new AnswerReader(
      ({ status, bytes }) => this.#answered(status, bytes),
      timing === 'first byte' ? () => (this.#firstMs = performance.now()) : undefined,
    )
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        reader.take(chunk)
      } catch (error) {
        this.#lost((error as Error).message)
      }
    })
    this.#socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message))
    this.#socket.on('close', () => this.#lost('connection closed'))
  }

  send(request: Buffer, since: number): void {
    this.#since = since
    this.#firstMs = undefined
    this.#socket.write(request)
  }

  close(): void {
    this.#closing = true
    this.#socket.destroy()
  }

  get isClosed(): boolean {
    return this.#closing
  }

  #answered(status: number, bytes: number): void {
    const took = (this.#firstMs ?? performance.now()) - this.#since!
    this.#since = undefined
    const { expect } = this.#call
    if (status !== expect.status) this.#done(this, took, `status ${status}`)
    else this.#done(this, took, expect.bytes === undefined || bytes === expect.bytes ? undefined : `${bytes} bytes`)
  }

  #lost(why: string): void {
    if (this.#closing) return
    this.close()
    this.#done(this, 0, why)
  }
}

/** What came back. */
class Tally {
  readonly #tookMs: number[] = []
  readonly #errors = new Map<string, number>()
  readonly #startedAt = performance.now()

  get answered(): number {
    return this.#tookMs.length
  }

  add(tookMs: number, error: string | undefined): void {
    if (error === undefined) this.#tookMs.push(tookMs)
    else this.#errors.set(error, (this.#errors.get(error) ?? 0) + 1)
  }

  fail(error: string, times: number): void {
    if (times > 0) this.#errors.set(error, (this.#errors.get(error) ?? 0) + times)
  }

  result(): LoadResult {
    const seconds = (performance.now() - this.#startedAt) / 1000
    const us = Float64Array.from(this.#tookMs, (ms) => ms * 1000).toSorted()
    const at = (q: number): number => (us.length === 0 ? 0 : quantile(us, q))
    return {
      type: 'result',
      answered: us.length,
      seconds,
      latencyUs: { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1) },
      errors: Object.fromEntries(this.#errors),
      unsent: 0,
    }
  }
}

async function load({ call, connections, seconds, calls = Infinity, perSecond }: LoadOrder): Promise<LoadResult> {
  const request = requestBytes(call)
  const record = new Tally()
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  const lines = new Set<Line>()
  const idle: Line[] = []
  /** Requests that are due and found no free connection, by when they were due. */
  const waiting: number[] = []
  const until = performance.now() + seconds * 1000
  let underWay = 0
  let unsent = 0
  let over = false

  const open = (): Line => {
    const line = new Line(call, 'last byte', done)
    lines.add(line)
    return line
  }
  const send = (line: Line, since: number): void => {
    underWay += 1
    line.send(request, since)
  }
  const next = (line: Line): void => {
    const due = perSecond === undefined ? performance.now() : waiting.shift()
    if (due === undefined) idle.push(line)
    else send(line, due)
  }
  const done = (line: Line, tookMs: number, error: string | undefined): void => {
    underWay -= 1
    record.add(tookMs, error)
    over ||= performance.now() >= until || record.answered >= calls
    if (line.isClosed) lines.delete(line)
    if (!over) next(line.isClosed ? open() : line)
    else if (underWay === 0) finish()
  }

  for (let i = 0; i < connections; i++) next(open())
  const pace = perSecond === undefined ? undefined : startPace(perSecond, idle, waiting, send)
  const end = setTimeout(() => {
    over = true
    clearInterval(pace)
    unsent = waiting.splice(0).length
    if (underWay === 0) finish()
  }, seconds * 1000)
  const patience = setTimeout(finish, seconds * 1000 + LAST_ANSWERS_MS)
  await finished
  clearTimeout(end)
  clearTimeout(patience)
  clearInterval(pace)
  record.fail('no answer', underWay)
  for (const line of lines) line.close()
  return { ...record.result(), unsent }
}

function startPace(perSecond: number, idle: Line[], waiting: number[], send: (line: Line, since: number) => void): NodeJS.Timeout {
  const startedAt = performance.now()
  let sent = 0
  const tick = (): void => {
    const now = performance.now()
    for (const due = 1 + Math.floor(((now - startedAt) * perSecond) / 1000); sent < due; sent++) {
      const line = idle.pop()
      if (line === undefined) waiting.push(now)
      else send(line, now)
    }
  }
  tick()
  return setInterval(tick, 1)
}

/** One stream after another on one connection, timed to the first byte of the body. */
async function firstBytes({ call, count }: FirstBytesOrder): Promise<LoadResult> {
  const request = requestBytes(call)
  const record = new Tally()
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>()
  let left = count
  const done = (line: Line, tookMs: number, error: string | undefined): void => {
    record.add(tookMs, error)
    left -= 1
    if (left > 0 && !line.isClosed) return line.send(request, performance.now())
    record.fail('never sent', left)
    line.close()
    finish()
  }
  new Line(call, 'first byte', done).send(request, performance.now())
  await finished
  return record.result()
}

let held: Socket[] = []

async function hold({ call, count }: HoldOrder): Promise<LoadResult> {
  const request = requestBytes(call)
  const record = new Tally()
  const opened = Array.from({ length: count }, () => openStream(call, request, record))
  held = opened.map(({ socket }) => socket)
  await Promise.all(opened.map(({ started }) => started))
  return record.result()
}

function openStream(call: Call, request: Buffer, record: Tally): { socket: Socket; started: Promise<void> } {
  const { promise: started, resolve } = Promise.withResolvers<void>()
  const since = performance.now()
  const socket = connect({ port: call.port, host: '127.0.0.1', noDelay: true })
  const reader = new AnswerReader(
    () => settle('the stream ended'),
    (status) => settle(status === call.expect.status ? undefined : `status ${status}`),
  )
  let settled = false
  const settle = (error: string | undefined): void => {
    if (settled) return
    settled = true
    record.add(performance.now() - since, error)
    resolve()
  }
  socket.on('data', (chunk: Buffer) => reader.take(chunk))
  socket.on('error', (error: NodeJS.ErrnoException) => settle(error.code ?? error.message))
  socket.on('close', () => settle('connection closed'))
  socket.write(request)
  return { socket, started }
}

async function release(): Promise<LoadResult> {
  const closed = held.map((socket) => new Promise<void>((resolve) => (socket.closed ? resolve() : socket.once('close', () => resolve()))))
  for (const socket of held) socket.destroy()
  held = []
  await Promise.all(closed)
  return new Tally().result()
}

function requestBytes({ method, path, port, headers, bodyBytes, json }: Call): Buffer {
  const lines = [
    `${method} ${path} HTTP/1.1`,
    `host: 127.0.0.1:${port}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  if (bodyBytes > 0) lines.push(`content-length: ${bodyBytes}`, 'content-type: application/octet-stream')
  if (json !== undefined)
    return Buffer.from(
      `${[...lines, `content-length: ${Buffer.byteLength(json)}`, 'content-type: application/json'].join('\r\n')}\r\n\r\n${json}`,
    )
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), Buffer.alloc(bodyBytes, 'x')])
}

function obey(order: Order): Promise<LoadResult> {
  switch (order.type) {
    case 'load':
      return load(order)
    case 'first-bytes':
      return firstBytes(order)
    case 'hold':
      return hold(order)
    default:
      return release()
  }
}

process.on('message', (order: Order) => {
  void obey(order).then((result) => process.send?.(result))
})
process.on('disconnect', () => process.exit(0))
process.send?.({ type: 'ready', port: 0 })
