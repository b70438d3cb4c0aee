/**
 * Vitest global setup of the integration projects. Starts the real servers once per run, whichever projects take part, and tells each
 * project which Postgres is its own: `embedded` the one the gateway ships, `url` the oldest supported one given by URL.
 */
import type { TestProject } from 'vitest/node'
import { ensureTestServers } from '../../packages/testkit/src/servers/index.ts'
import type { TestServers } from '../../packages/testkit/src/servers/index.ts'

interface Running {
  readonly servers: Promise<TestServers>
  users: number
}

// The projects load this module separately; the process holds one set of servers all the same.
const slot = globalThis as typeof globalThis & { sallyportTestServers?: Running }

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const running = (slot.sallyportTestServers ??= {
    servers: ensureTestServers({ onProgress: (message) => console.info(message) }),
    users: 0,
  })
  running.users += 1
  const servers = await running.servers
  project.provide('postgresUrl', project.name === 'url' ? givenByUrl(servers) : servers.postgres18Url)
  project.provide('redisUrl', servers.redisUrl)
  project.provide('chromiumPath', servers.chromiumPath)
  return async () => {
    running.users -= 1
    if (running.users > 0) return
    delete slot.sallyportTestServers
    await servers.stop()
  }
}

function givenByUrl({ postgres15Url }: TestServers): string {
  if (postgres15Url !== undefined) return postgres15Url
  throw new Error(
    'No second Postgres to test on: install PostgreSQL 15 or newer (Debian: postgresql), or set SALLYPORT_TEST_POSTGRES_URL to an administrative URL of one.',
  )
}
