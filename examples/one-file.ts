/**
 * A whole program: one user signs in at GitHub, and their repositories are listed. Run it with the client of an OAuth app whose callback is
 * http://localhost:3000/callback, then open http://localhost:3000.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Sallyport } from '@sallyport/core'
import type { SallyportConfig } from '@sallyport/core'

/** Listens, and gives what ends it. `changes` are for other servers than GitHub's own. */
export async function main(clientId: string, clientSecret: string, port = 3000, changes: Partial<SallyportConfig> = {}) {
  const redirectUri = `http://localhost:${port}/callback`
  const sallyport = await Sallyport.init({
    mode: 'development',
    tokenStore: { backend: 'memory' },
    providers: { github: { clientId, clientSecret, redirectUri, features: ['repositories.read', 'profile.read'] } },
    ...changes,
  })
  const me = { provider: 'github', userId: 'me' }
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    try {
      if (!request.url!.startsWith('/callback?')) {
        response.writeHead(302, { location: (await sallyport.connect(me)).url }).end()
        return
      }
      const { account } = await sallyport.handleCallback(request.url!, { userId: 'me' })
      const repositories = await (await sallyport.request({ ...me, path: '/user/repos' })).json<{ full_name: string }[]>()
      response.end(`${account.label}: ${repositories.map(({ full_name }) => full_name).join(', ')}`)
    } catch (error) {
      response.writeHead(500).end(error instanceof Error && 'code' in error ? String(error.code) : 'failed')
    }
  }
  const server = createServer((request, response) => void answer(request, response)).listen(port)
  return async (): Promise<void> => {
    server.close()
    await sallyport.close()
  }
}

if (import.meta.main) await main(process.env.GITHUB_CLIENT_ID!, process.env.GITHUB_CLIENT_SECRET!)
