/**
 * Route handlers of the kind that Next.js and others take: a Request in, a Response out. In an application each stands in its route's file, as
 * `export const GET = handlers.connect`, and `userOf` asks the application's own sign-in.
 */
import { Sallyport, SallyportError } from '@sallyport/core'

type Handler = (request: Request) => Promise<Response>

export interface Handlers {
  /** GET /connect?provider=... */
  readonly connect: Handler
  /** GET /callback, where providers send the browser. */
  readonly callback: Handler
  /** GET /posts: those of Reddit or X, whichever is up; Reddit is asked first. */
  readonly posts: Handler
}

export function handlersOn(sallyport: Sallyport, userOf: (request: Request) => Promise<string>): Handlers {
  return {
    connect: guarded(async (request) => {
      const provider = new URL(request.url).searchParams.get('provider') ?? ''
      const { url } = await sallyport.connect({ provider, userId: await userOf(request) })
      return Response.redirect(url, 302)
    }),
    callback: guarded(async (request) => {
      const { provider, account } = await sallyport.handleCallback(new URL(request.url), { userId: await userOf(request) })
      return Response.json({ provider, account: account.label })
    }),
    posts: guarded(async (request) => {
      const wanted = { feature: 'posts.read', userId: await userOf(request), limit: 10, signal: request.signal } as const
      const posts: { title: string | null; from: string }[] = []
      for await (const { title, text, provider } of sallyport.fetch(wanted)) posts.push({ title: title ?? text, from: provider })
      return Response.json(posts)
    }),
  }
}

function guarded(handle: Handler): Handler {
  return async (request) => {
    try {
      return await handle(request)
    } catch (error) {
      if (!(error instanceof SallyportError)) throw error
      const status = error.code === 'provider_unknown' ? 404 : error.code === 'reconnect_required' ? 409 : 502
      return Response.json({ code: error.code, detail: error.publicDetail }, { status })
    }
  }
}
