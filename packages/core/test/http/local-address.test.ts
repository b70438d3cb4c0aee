/** The address that calls out begin at, as the other side sees it. */
import http from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { Cleanup, gateway, httpUpstream, testEgress } from './listeners.ts'

const cleanup = new Cleanup()
afterEach(() => cleanup.run())

const LOCAL = '127.0.0.9'

describe('a local address', () => {
  it('X-08 is where every call begins, of fetch and of forward alike', async () => {
    const from: (string | undefined)[] = []
    const { origin } = await httpUpstream(cleanup, (request, response) => {
      from.push(request.socket.remoteAddress)
      response.end('hello')
    })
    const named = origin.replace('127.0.0.1', 'api.test')
    const resolver = async () => [{ address: '127.0.0.1', family: 4 }]
    const egress = testEgress(cleanup, { insecureAllowOrigins: [origin, named], resolver, localAddress: LOCAL })
    for (const to of [origin, named]) {
      expect(await (await egress.fetch(to)).text()).toBe('hello')
      const { port } = await gateway(cleanup, egress, to)
      expect(await (await fetch(`http://127.0.0.1:${port}/x`)).text()).toBe('hello')
    }
    expect(from).toEqual([LOCAL, LOCAL, LOCAL, LOCAL])
  })

  it('X-08 reaches nothing of the other family, rather than begin elsewhere', async () => {
    let reached = 0
    const server = http.createServer((_request, response) => {
      reached += 1
      response.end()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanup.add(() => server.close())
    const origin = `http://api.test:${(server.address() as AddressInfo).port}`
    const resolver = async () => [{ address: '127.0.0.1', family: 4 }]
    const egress = testEgress(cleanup, { insecureAllowOrigins: [origin], resolver, localAddress: '::1' })
    await expect(egress.fetch(origin)).rejects.toMatchObject({ code: 'upstream_unreachable' })
    expect(reached).toBe(0)
  })

  it('X-08 is no way around the judgement of addresses: one internal address of any family refuses the name', async () => {
    const resolver = async () => [
      { address: '::1', family: 6 },
      { address: '1.1.1.1', family: 4 },
    ]
    const egress = testEgress(cleanup, { resolver, localAddress: LOCAL })
    await expect(egress.fetch('https://api.test/')).rejects.toMatchObject({ code: 'egress_refused' })
  })
})
