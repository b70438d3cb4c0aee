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

/** @param folder the console's `dist`; without an `index.html` in it a page says how to build one. */
export async function serveConsole(app: FastifyInstance, folder: string): Promise<void> {
  await app.register(async (scope) => {
    scope.routeAccess = PUBLIC_READ
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

/** A name with an extension is a file or nothing: a script that is gone must not be answered with a page. */
function page(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const path = (request.params as { '*': string })['*']
  if (!/\.\w+$/u.test(path)) return reply.sendFile('index.html')
  if (!PLAIN.test(path)) throw notFound()
  return reply.sendFile(path)
}
