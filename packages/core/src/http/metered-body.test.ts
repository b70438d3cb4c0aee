import { once } from 'node:events'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { MeteredBody } from './metered-body.ts'

async function read(body: MeteredBody): Promise<string> {
  let text = ''
  for await (const piece of body) text += String(piece)
  return text
}

describe('MeteredBody', () => {
  it('passes a body of exactly the limit on, paused source or not', async () => {
    expect(await read(new MeteredBody(Readable.from([Buffer.from('hello'), Buffer.from('world')]), 10))).toBe('helloworld')
    const paused = Readable.from([Buffer.from('hello')]).pause()
    expect(await read(new MeteredBody(paused, 10))).toBe('hello')
  })

  it('D-06 fails one byte past the limit, and leaves the rest unread', async () => {
    const source = Readable.from([Buffer.from('hello'), Buffer.from('world!'), Buffer.from('more')])
    await expect(read(new MeteredBody(source, 10))).rejects.toMatchObject({ code: 'request_too_large' })
    expect([source.isPaused(), source.destroyed]).toEqual([true, false])
  })

  it('fails when its source breaks off, without saying why', async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error('canary'))
      },
    })
    await expect(read(new MeteredBody(broken, 10))).rejects.toMatchObject({ code: 'client_gone', message: 'client_gone: body' })
    const gone = new Readable({ read: () => undefined })
    gone.destroy()
    await expect(read(new MeteredBody(gone, 10))).rejects.toMatchObject({ code: 'client_gone' })
  })

  it('destroyed early, reads its source out instead of destroying it, so that its connection stays usable', async () => {
    const source = Readable.from([Buffer.from('hello'), Buffer.from('world')])
    new MeteredBody(source, 10).destroy()
    await once(source, 'end')
    expect(source.readableEnded).toBe(true)
  })

  it('D-06 destroyed early, stops reading out at the limit', async () => {
    let given = 0
    const endless = new Readable({
      read() {
        given += 1
        this.push(Buffer.alloc(1000))
      },
    })
    const paused = once(endless, 'pause')
    new MeteredBody(endless, 100_000).destroy()
    await paused
    expect(given).toBeLessThan(300)
    endless.destroy()
  })
})
