import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

/** What is awaited comes when it comes: a busy machine is no failure. */
const patient = { poll: { timeout: 20_000 } }

const integration = {
  expect: patient,
  globalSetup: ['test/setup/servers.ts'],
  testTimeout: 60_000,
  hookTimeout: 120_000,
}

export default defineConfig({
  test: {
    // Most of the time is spent waiting for real processes, so more files run side by side than there are cores.
    maxWorkers: Math.max(3, availableParallelism()),
    projects: [
      {
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.{ts,tsx}', 'test/architecture/**/*.test.ts', 'scripts/**/*.test.ts', 'bench/**/*.test.ts'],
          testTimeout: 30_000,
          expect: patient,
        },
      },
      {
        test: {
          name: 'embedded',
          include: ['packages/*/test/**/*.test.ts', 'test/{e2e,fault,browser}/**/*.test.ts'],
          ...integration,
        },
      },
      {
        // What touches the database runs a second time on a server given by URL, the oldest one supported.
        test: {
          name: 'url',
          env: { SALLYPORT_TEST_HOME: 'url' },
          include: [
            'packages/core/test/stores/{postgres,advisory-leases}.test.ts',
            'packages/server/test/{db,audit,vault,home,identity,http,connect,credentials,revocation,events,organizations,usage}/**/*.test.ts',
            'test/e2e/{data-plane,octokit,refresh,tenancy}.test.ts',
          ],
          ...integration,
        },
      },
    ],
  },
})
