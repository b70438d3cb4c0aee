/** What stands beside the operations: health, the end of a server, OpenAPI, the reference page and the console's files. */
import { once } from 'node:events'
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { Validator } from '@seriousme/openapi-schema-validator'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { operations, PROBLEM_CODES } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { createWorld, send } from './world.ts'
import type { World } from './world.ts'

let world: World
let folder: string
/** A file that exists, one folder up. */
let outside: string
let redisAway = false
let databaseAway = false
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sallyport-console-'))
  await mkdir(join(folder, 'assets'))
  await writeFile(join(folder, 'index.html'), '<!doctype html><title>console</title>')
  await writeFile(join(folder, 'assets', 'app-0123abcd.js'), 'export {}')
  await writeFile(join(folder, '.secret'), 'not for the web')
  outside = `${folder}.txt`
  await writeFile(outside, 'beside the console')
  world = await createWorld(inject('postgresUrl'), {
    publicUrl: 'https://gateway.test',
    consoleFolder: folder,
    ready: async () => {
      if (databaseAway) throw new Error('canary: the database at db.internal is away')
      return redisAway ? 'degraded' : 'ok'
    },
  })
})
afterAll(async () => {
  await world?.close()
  await rm(folder, { recursive: true, force: true, maxRetries: 10 })
  await rm(outside, { force: true })
})

describe('health', () => {
  it('X-06 says up or not, ready or not, and nothing else', async () => {
    expect(await send(world, '/healthz')).toMatchObject({ status: 200, text: '{"status":"ok"}', headers: { 'cache-control': 'no-store' } })
    expect(await send(world, '/readyz')).toMatchObject({ status: 200, text: '{"status":"ok"}' })
    databaseAway = true
    expect(await send(world, '/readyz')).toMatchObject({ status: 503, text: '{"status":"unavailable"}', headers: { 'retry-after': '1' } })
    expect(await send(world, '/healthz')).toMatchObject({ status: 200 })
    databaseAway = false
    redisAway = true
    expect(await send(world, '/readyz')).toMatchObject({ status: 200, text: '{"status":"degraded"}' })
    redisAway = false
    expect(await send(world, '/readyz', { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
  })
})

describe('over https', () => {
  it('X-02 J-19 tells browsers never to come without TLS, and keeps the session to this host', async () => {
    const owner_token = await world.ownerToken(world.a.people.OWNER.id)
    const { headers, status } = await send(world, '/api/v1/session', {
      method: 'POST',
      body: { owner_token },
      headers: { origin: 'https://gateway.test' },
    })
    expect(status).toBe(201)
    expect(headers['strict-transport-security']).toBe('max-age=31536000')
    expect(headers['set-cookie']).toEqual([
      expect.stringMatching(/^__Host-sallyport_session=[\w-]{43}; Path=\/; Expires=[^;]+; HttpOnly; Secure; SameSite=Lax$/u),
    ])
    const plain = headers['set-cookie']![0]!.split(';')[0]!.replace('__Host-', '')
    expect((await send(world, '/api/v1/whoami', { headers: { cookie: plain } })).status).toBe(401)
  })
})

/** In OpenAI's words. */
const CALLS_OUT = ['/v1/chat/completions', '/v1/responses', '/v1/embeddings', '/v1/models', '/v1/models/{model}']

describe('OpenAPI', () => {
  it('is valid 3.1 by an outside judge, and has every operation with its access and problems', async () => {
    const { json: document, headers } = await send(world, '/openapi.json')
    expect(headers['content-type']).toMatch(/^application\/json/u)
    expect(document.openapi).toBe('3.1.0')
    expect(await new Validator().validate(structuredClone(document))).toEqual({ valid: true })
    for (const [name, operation] of Object.entries<Operation>(operations)) {
      const described = document.paths[operation.path]?.[operation.method.toLowerCase()]
      expect(described, name).toMatchObject({
        operationId: name,
        summary: operation.summary,
        tags: [operation.tag],
        'x-sallyport-access': operation.access,
      })
      expect(Object.keys(described.responses), name).toEqual([String(operation.status), 'default'])
      expect(described.responses.default.content['application/problem+json'].schema).toEqual({ $ref: '#/components/schemas/Problem' })
      expect(described.requestBody !== undefined, name).toBe(operation.body !== undefined)
      const headers = (described.parameters ?? []).flatMap((one: { in: string; name: string }) => (one.in === 'header' ? [one.name] : []))
      const creates = operation.method === 'POST' && operation.status === 201 && operation.access.audience !== 'public'
      expect(headers, name).toEqual(creates ? ['Idempotency-Key'] : [])
    }
    expect(document.components.schemas.Problem.properties.code.enum).toEqual(PROBLEM_CODES)
    expect(Object.keys(document.paths['/proxy/{integration}/{path}'])).toContain('patch')
    expect(Object.keys(document.paths['/llm/{provider}/{path}'])).toContain('patch')
    expect(CALLS_OUT.map((path) => Object.keys(document.paths[path]))).toEqual([['post'], ['post'], ['post'], ['get'], ['get']])
    const known = new Set([
      ...Object.values<Operation>(operations).map(({ path }) => path),
      '/proxy/{integration}/{path}',
      '/llm/{provider}/{path}',
      ...CALLS_OUT,
    ])
    expect(Object.keys(document.paths).filter((path) => !known.has(path))).toEqual([])
  })

  it('gives each of its references a target', async () => {
    const { text, json } = await send(world, '/openapi.json')
    const references = [...text.matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/gu)].map(([, name]) => name!)
    expect(references.length).toBeGreaterThan(20)
    expect(references.filter((name) => json.components.schemas[name] === undefined)).toEqual([])
  })
})

describe('pages', () => {
  it('serve the reference from our own files, without inline script or style', async () => {
    const page = await send(world, '/docs/')
    expect(page.status).toBe(200)
    expect(page.headers['content-security-policy']).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self' 'sha256-[^']+';/u)
    expect(page.headers['content-security-policy']).not.toContain('unsafe')
    expect(page.text).not.toMatch(/<script(?![^>]* src="\.?\/)|<style|style=|https?:\/\//u)
    const files = [...page.text.matchAll(/(?:src|href)="([^"]+)"/gu)].map(([, file]) => new URL(file!, 'http://x/docs/').pathname)
    expect(files.length).toBeGreaterThan(4)
    for (const file of files) expect((await send(world, file)).status, file).toBe(200)
  })

  it('serve the console with its own routes, and nothing beside its files', async () => {
    expect(await send(world, '/')).toMatchObject({ status: 302, headers: { location: '/console/' } })
    expect(await send(world, '/console')).toMatchObject({ status: 302, headers: { location: '/console/' } })
    for (const path of ['/console/', '/console/keys', '/console/a/b/c']) {
      const page = await send(world, path)
      expect(page).toMatchObject({ status: 200, headers: { 'cache-control': 'no-cache' } })
      expect(page.text).toContain('<title>console</title>')
      expect(page.headers['content-security-policy']).not.toContain('unsafe')
    }
    const script = await send(world, '/console/assets/app-0123abcd.js')
    expect(script).toMatchObject({ status: 200, headers: { 'cache-control': 'public, max-age=31536000, immutable' } })
    for (const path of [
      '/console/.secret',
      '/console/assets/gone.js',
      '/console/../package.json',
      '/console/%2e%2e/x.js',
      `/console/..%2f${basename(outside)}`,
      `/console/assets/..%2f..%2f${basename(outside)}`,
      '/console/%00.js',
    ]) {
      const answer = await send(world, path)
      expect([400, 404], path).toContain(answer.status)
      expect(answer.json.code, path).toMatch(/^(?:not_found|bad_request)$/u)
    }
  })

  it('say how to build the console where it is not built', async () => {
    const bare = await createWorld(inject('postgresUrl'))
    const page = await send(bare, '/console/')
    await bare.close()
    expect([page.status, page.headers['content-type']]).toEqual([503, 'text/html; charset=utf-8'])
    expect(page.text).toContain('npm start')
  })
})

describe('draining', () => {
  it('lets a running request finish, refuses new ones on every plane, and says so to who watches', async () => {
    let release = (): void => undefined
    const entered = Promise.withResolvers<void>()
    const ending = await createWorld(inject('postgresUrl'), {
      dataPlane: (request, response) => {
        if (!request.url!.startsWith('/proxy/')) return false
        release = () => response.end('whole')
        response.write('half, ')
        entered.resolve()
        return true
      },
    })
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const running = text(ending.port, '/proxy/x', agent)
    await entered.promise
    ending.http.startDraining()
    expect(await send(ending, '/api/v1/whoami')).toMatchObject({
      status: 503,
      headers: { connection: 'close', 'retry-after': '1' },
      json: { code: 'draining' },
    })
    expect((await send(ending, '/proxy/x')).json).toMatchObject({ code: 'draining' })
    expect((await send(ending, '/healthz')).status).toBe(200)
    expect((await send(ending, '/readyz')).status).toBe(503)
    const closed = ending.http.close(10_000)
    await expect(send(ending, '/healthz')).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    release()
    expect(await running).toBe('half, whole')
    expect(await closed).toBe(true)
    agent.destroy()
    await ending.close()
  })

  it('is held up by no connection that carries no request, or half of one', async () => {
    const ending = await createWorld(inject('postgresUrl'))
    const sockets = ['', 'GET /healthz HTTP/1.1\r\n'].map((text) => {
      const socket = connect(ending.port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(text)
      return socket
    })
    const ended = Promise.all(sockets.map((socket) => once(socket, 'close')))
    await Promise.all(sockets.map((socket) => once(socket, 'connect')))
    expect((await send(ending, '/healthz')).status).toBe(200)
    expect(await ending.http.close(600_000)).toBe(true)
    await ended
    await ending.close()
  })

  it('cuts what does not finish in time, and says that it did', async () => {
    const entered = Promise.withResolvers<void>()
    const ending = await createWorld(inject('postgresUrl'), {
      dataPlane: (request, response) => {
        if (!request.url!.startsWith('/proxy/')) return false
        response.write('half')
        entered.resolve()
        return true
      },
    })
    const running = text(ending.port, '/proxy/x', new Agent())
    const outcome = expect(running).rejects.toThrow()
    await entered.promise
    expect(await ending.http.close(50)).toBe(false)
    await outcome
    await ending.close()
  })
})

function text(port: number, path: string, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port, host: '127.0.0.1', path, agent }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => resolve(Buffer.concat(chunks).toString()))
      response.on('error', reject)
    })
    request.on('error', reject)
    request.end()
  })
}
