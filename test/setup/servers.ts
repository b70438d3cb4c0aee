/**
 * Vitest global setup of the integration projects. Starts the real servers once per run, whichever projects take part, and tells each
 * project which Postgres is its own: `embedded` the one the gateway ships, `url` the oldest supported one given by URL.
 */
import type { TestProject } from 'vitest/node'
import { ensureTestServers } from '../../packages/testkit/src/servers/index.ts'
import type { TestServers } from '../../packages/testkit/src/servers/index.ts'

declare module 'vitest' {
  export interface ProvidedContext {
    /** Administrative URL of the Postgres this project runs on. */
    postgresUrl: string
    postgres18Url: string
    redisUrl: string
    chromiumPath: string
  }
}

interface Running {
  readonly servers: Promise<TestServers>
  users: number
}

// The projects load this module separately; the process holds one set of servers all the same.
const slot = globalThis as typeof globalThis & { sallyportTestServers?: Running }

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = (slot.sallyportTestServers ??= { servers: ensureTestServers(), users: 0 })
  running.users += 1
  const servers = await running.servers
  project.provide('postgres18Url', servers.postgres18Url)
  project.provide('postgresUrl', project.name === 'url' ? servers.postgres15Url : servers.postgres18Url)
  project.provide('redisUrl', servers.redisUrl)
  project.provide('chromiumPath', servers.chromiumPath)
  return async () => {
    running.users -= 1
    if (running.users > 0) return
    delete slot.sallyportTestServers
    await servers.stop()
  }
}
