import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { startWire } from './wire.ts'
import type { Wire } from './wire.ts'

const cleanups: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup()
})

/** A wire to a server that sends back what it gets. */
async function echoed(): Promise<{ wire: Wire; dial: () => Promise<Socket>; heard: () => string; gone: Promise<unknown> }> {
  let heard = ''
  const first = Promise.withResolvers<unknown>()
  const server = createServer((socket) => {
    socket.on('data', (piece) => (heard += String(piece)))
    socket.once('close', first.resolve)
    socket.on('error', () => undefined).pipe(socket)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanups.push(() => void server.close())
  const wire = await startWire({ host: '127.0.0.1', port: (server.address() as AddressInfo).port })
  cleanups.push(() => wire.close())
  const dial = async (): Promise<Socket> => {
    const socket = connect(wire.port, '127.0.0.1')
    cleanups.push(() => void socket.destroy())
    await once(socket, 'connect')
    return socket
  }
  return { wire, dial, heard: () => heard, gone: first.promise }
}

const said = async (socket: Socket): Promise<string> => String((await once(socket, 'data'))[0])

describe('a wire', () => {
  it('hands on what it gets, in order', async () => {
    const { dial } = await echoed()
    const socket = await dial()
    socket.write('one')
    expect(await said(socket)).toBe('one')
    socket.write('two')
    expect(await said(socket)).toBe('two')
  })

  it('resets what is open when it is cut, refuses what comes, and passes again when it is mended', async () => {
    const { wire, dial } = await echoed()
    const socket = await dial()
    socket.write('x')
    await said(socket)
    const failed = once(socket, 'error')
    wire.cut()
    expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET')
    const refused = connect(wire.port, '127.0.0.1')
    expect(((await once(refused, 'error'))[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET')
    wire.mend()
    const again = await dial()
    again.write('back')
    expect(await said(again)).toBe('back')
  })

  it('moves no byte while it is held and loses none', async () => {
    const { wire, dial } = await echoed()
    const held = await dial()
    held.write('before')
    await said(held)
    wire.hold()
    const fresh = await dial()
    let heard = ''
    for (const socket of [held, fresh]) socket.on('data', (piece) => (heard += String(piece)))
    held.write('a')
    fresh.write('b')
    await new Promise((resolve) => setImmediate(resolve))
    expect(heard).toBe('')
    const both = [once(held, 'data'), once(fresh, 'data')]
    wire.mend()
    await Promise.all(both)
    expect(heard.split('').toSorted()).toEqual(['a', 'b'])
  })
  it('loses what was sent into a hold by one who gave up before its end', async () => {
    const { wire, dial, heard, gone } = await echoed()
    const socket = await dial()
    socket.write('before')
    await said(socket)
    wire.hold()
    socket.write('too late')
    await new Promise<void>((resolve) => socket.write('', () => resolve()))
    socket.destroy()
    await gone
    const after = await dial()
    wire.mend()
    after.write('after')
    expect(await said(after)).toBe('after')
    expect(heard()).toBe('beforeafter')
  })
})
