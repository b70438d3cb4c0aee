import { createServer, type IncomingMessage, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { browserFor, submitFirstForm } from './browser.ts'

const PAGE = '<form method="post"><input type="hidden" name="token" value="a&amp;b"/><button>Go</button></form>'

let seen: { url: string; cookie: string | undefined; origin: string | undefined; body: string }[] = []
const servers: Server[] = []
let home: string
let elsewhere: string

async function listen(): Promise<string> {
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      const { cookie, origin } = request.headers
      seen.push({ url: request.url ?? '', cookie, origin, body })
      if (request.url === '/set') response.setHeader('set-cookie', ['one=1; Path=/; HttpOnly', 'two=a=b; Path=/'])
      if (request.url === '/clear') response.setHeader('set-cookie', 'one=; Max-Age=0')
      if (request.method === 'POST') response.writeHead(303, { location: '/next?x=1' })
      response.end(request.url === '/page' && request.method === 'GET' ? PAGE : '')
    })
  })
  servers.push(server)
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

async function readBody(request: IncomingMessage): Promise<string> {
  let body = ''
  for await (const chunk of request) body += String(chunk)
  return body
}

beforeAll(async () => {
  home = await listen()
  elsewhere = await listen()
})
afterAll(() => {
  for (const server of servers) server.close().closeAllConnections()
})

describe('the browser of the first start', () => {
  it('sends the cookies of its origin back there and nowhere else, until they are removed', async () => {
    const browser = browserFor(home)
    seen = []
    for (const url of [`${home}/set`, `${home}/a`, `${elsewhere}/b`, `${home}/clear`, `${home}/c`]) await browser(url)
    expect(seen.map(({ cookie }) => cookie)).toEqual([undefined, 'one=1; two=a=b', undefined, 'one=1; two=a=b', 'two=a=b'])
  })

  it('submits the first form of a page with its fields and origin, and names the redirect without following it', async () => {
    seen = []
    expect(await submitFirstForm(browserFor(home), `${home}/page`)).toBe(`${home}/next?x=1`)
    expect(seen.map(({ url, body, origin }) => [url, body, origin])).toEqual([
      ['/page', '', undefined],
      ['/page', 'token=a%26b', home],
    ])
  })

  it('says what it met when there is no form', async () => {
    await expect(submitFirstForm(browserFor(home), `${home}/nothing`)).rejects.toThrow('answered 200 and no form')
  })
})
