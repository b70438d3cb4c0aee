/**
 * Owns serving the console's built files. Refuses inline script and style, listing folders, and dotfiles. Paths inside the console that
 * are no file give its one page, because its routes live in the browser.
 */
import { existsSync } from 'node:fs'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { PAGE_POLICY, useContentPolicy } from './headers.ts'
import { notFound } from './problem.ts'
import { PUBLIC_READ } from './route-guard.ts'

const PREFIX = '/console/'
/** Vite puts a content hash into these names: what a name gives never changes. */
const HASHED = /\/assets\/[^/]+-[\w-]{8,}\.\w+$/u

/** Names of the build's files: no segment begins with a dot, and none climbs. */
const PLAIN = /^[\w-]+(?:[./][\w-]+)*$/u

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Sallyport console</title>
<h1>The console is not built</h1>
<p>The gateway and its API are running. To build the console, run <code>npm start</code> from the top of the repository,
or <code>npx vite build</code> in <code>packages/console</code>, and reload this page.</p>
</html>
`

/**
 * @param folder the console's `dist`; without an `index.html` in it a page says how to build one.
 * @param publicUrl the console's own address
 */
export async function serveConsole(app: FastifyInstance, folder: string, publicUrl: string): Promise<void> {
  await app.register(async (scope) => {
    scope.routeAccess = PUBLIC_READ
    scope.addHook('onRequest', async (request, reply) => {
      const home = homeOf(request.headers.host, publicUrl)
      // The fragment, which may hold an owner link's token, is the browser's to keep across a redirect.
      if (home !== undefined) await reply.redirect(home + request.raw.url!, 302)
    })
    useContentPolicy(scope, PAGE_POLICY)
    scope.get('/', { schema: { hide: true } }, (_request, reply) => reply.redirect(PREFIX, 302))
    if (existsSync(`${folder}/index.html`)) await serveFiles(scope, folder)
    else
      scope.get(`${PREFIX}*`, { schema: { hide: true } }, (_request, reply) =>
        reply.code(503).type('text/html; charset=utf-8').send(NOT_BUILT),
      )
    scope.get('/console', { schema: { hide: true } }, (_request, reply) => reply.redirect(PREFIX, 302))
  })
}

async function serveFiles(scope: FastifyInstance, folder: string): Promise<void> {
  await scope.register(fastifyStatic, {
    root: folder,
    serve: false,
    cacheControl: false,
    dotfiles: 'ignore',
    setHeaders: (reply, path) => void reply.header('cache-control', HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache'),
  })
  scope.get(`${PREFIX}*`, { schema: { hide: true } }, page)
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]'])

/**
 * Where a browser belongs that came by another name of this machine. Cookies and the same-site rule go by the public address alone, so
 * `localhost` for `127.0.0.1` would end at a sign-in that is refused. Names of other machines are let be: a proxy may have its own.
 */
export function homeOf(host: string | undefined, publicUrl: string): string | undefined {
  const home = new URL(publicUrl)
  const came = URL.parse(`http://${host ?? ''}`)
  if (came === null || !LOOPBACK.has(came.hostname) || !LOOPBACK.has(home.hostname)) return undefined
  return came.hostname !== home.hostname && came.port === home.port ? home.origin : undefined
}

/** A name with an extension is a file or nothing: a script that is gone must not be answered with a page. */
function page(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = (request.params as { '*': string })['*']
  if (!/\.\w+$/u.test(path)) return reply.sendFile('index.html')
  if (!PLAIN.test(path)) throw notFound()
  return reply.sendFile(path)
}
