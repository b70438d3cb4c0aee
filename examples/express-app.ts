/**
 * An Express application: its users connect their GitHub accounts, see their repositories, and disconnect. A user is a session here; an
 * application with sign-in takes its own ids.
 */
import { randomBytes } from 'node:crypto'
import express from 'express'
import type { Express, NextFunction, Request, Response } from 'express'
import { Sallyport, SallyportError } from '@sallyport/core'

const COOKIE = /(?:^|;\s*)sid=(?<id>[\w-]{43})(?:;|$)/u

/** Who asks: the session of their cookie, or a new one. */
function sessionOf(request: Request, response: Response): string {
  const known = COOKIE.exec(request.headers.cookie ?? '')?.groups?.['id']
  if (known !== undefined) return known
  const id = randomBytes(32).toString('base64url')
  response.cookie('sid', id, { httpOnly: true, sameSite: 'lax', secure: request.secure })
  return id
}

/** 409 asks to connect again; everything else says no more than it must. */
function failed(error: unknown, _request: Request, response: Response, _next: NextFunction): void {
  const code = error instanceof SallyportError ? error.code : 'internal'
  const status = code === 'reconnect_required' || code === 'credential_absent' ? 409 : code.startsWith('state_') ? 400 : 502
  response.status(status).json({ code, detail: error instanceof SallyportError ? error.publicDetail : undefined })
}

/** A handler whose failure goes to `failed`, in every version of Express. */
function handled(work: (request: Request, response: Response) => Promise<void>) {
  return (request: Request, response: Response, next: NextFunction): void => void work(request, response).catch(next)
}

export function application(sallyport: Sallyport): Express {
  const app = express()
  app.disable('x-powered-by')
  app.get(
    '/connect',
    handled(async (request, response) => {
      const session = sessionOf(request, response)
      const { url } = await sallyport.connect({ provider: 'github', userId: session, session })
      response.redirect(url)
    }),
  )
  app.get(
    '/callback',
    handled(async (request, response) => {
      const session = sessionOf(request, response)
      const { account, missingScopes } = await sallyport.handleCallback(request.originalUrl, { userId: session, session })
      response.json({ account: account.label, missingScopes })
    }),
  )
  app.get(
    '/repositories',
    handled(async (request, response) => {
      const names: (string | null)[] = []
      const wanted = { provider: 'github', userId: sessionOf(request, response), collection: 'repositories', limit: 20 } as const
      for await (const { title } of sallyport.fetch(wanted)) names.push(title)
      response.json(names)
    }),
  )
  app.delete(
    '/connection',
    handled(async (request, response) => {
      const revocation = await sallyport.disconnect({ provider: 'github', userId: sessionOf(request, response) })
      response.json({ revocation: revocation?.kind ?? 'none' })
    }),
  )
  app.get(
    '/healthz',
    handled(async (_request, response) => {
      const { status, unsaved } = await sallyport.getHealth()
      response.status(status === 'down' ? 503 : 200).json({ status, unsaved })
    }),
  )
  app.use(failed)
  return app
}

if (import.meta.main) {
  const { GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET, PORT = '3000' } = process.env
  const client = { clientId: GITHUB_CLIENT_ID!, clientSecret: GITHUB_CLIENT_SECRET!, redirectUri: `http://localhost:${PORT}/callback` }
  const sallyport = await Sallyport.init({ mode: 'development', tokenStore: { backend: 'memory' }, providers: { github: client } })
  const server = application(sallyport).listen(Number(PORT))
  process.once('SIGTERM', () => server.close(() => void sallyport.close()))
}
