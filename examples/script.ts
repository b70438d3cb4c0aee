/**
 * A script for a job that runs at night: which repositories a user has at GitHub, in one line each. The user connected before, in the application
 * (express-app.ts), which keeps its tokens in the same Redis under the same key.
 */
import { RefreshError, Sallyport } from '@sallyport/core'
import type { SallyportConfig } from '@sallyport/core'

/** Writes the lines with `print`. Gives the exit code: 2 when the user has to connect again. */
export async function main(config: SallyportConfig, userId: string, print: (line: string) => void): Promise<number> {
  const sallyport = await Sallyport.init(config)
  try {
    for await (const item of sallyport.fetch({ provider: 'github', userId, collection: 'repositories', limit: 100 }))
      print(`${item.createdAt?.slice(0, 10) ?? '-'} ${item.title} ${item.url}`)
    return 0
  } catch (error) {
    if (!(error instanceof RefreshError) || error.code !== 'reconnect_required') throw error
    print(`${userId} has to connect again`)
    return 2
  } finally {
    await sallyport.close()
  }
}

if (import.meta.main) {
  const { REDIS_URL, ENCRYPTION_KEY, GITHUB_CLIENT_ID, GITHUB_CLIENT_SECRET, APP_URL } = process.env as Record<string, string>
  const client = { clientId: GITHUB_CLIENT_ID!, clientSecret: GITHUB_CLIENT_SECRET!, redirectUri: `${APP_URL}/callback` }
  const tokenStore = { backend: 'redis' as const, url: REDIS_URL!, encryption: { key: ENCRYPTION_KEY! } }
  process.exitCode = await main({ tokenStore, providers: { github: client } }, process.argv[2]!, console.log)
}
