/** Owns the gateway under the browser tests: the real process with the console built into it, GitHub's sandbox to connect at, and a vendor's of models to call. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'
import { startSandbox } from '@sallyport/sandbox'
import type { Sandbox } from '@sallyport/sandbox'
import { buildConsole } from '../../scripts/build-console.ts'

export interface BrowserStage {
  readonly gateway: GatewayProcess
  readonly github: Sandbox['github']
  /** The provider `sandbox` of model calls. Of its models `PRICED_MODEL` alone has a price. */
  readonly models: Sandbox['models']
  close(): Promise<void>
}

/** The gateway looks for the console when it starts. @throws Error when it can't be built. */
export async function builtConsole(): Promise<void> {
  if ((await buildConsole()) === 'failed') throw new Error('the console could not be built')
}

export const PRICED_MODEL = 'sandbox-small'

/** A cent for each token, so that what a short call costs can be seen. */
const PRICES = { currency: 'USD', prices: [{ provider: 'sandbox', model: PRICED_MODEL, input: '10000', output: '10000' }] }

export async function openBrowserStage(): Promise<BrowserStage> {
  await builtConsole()
  const sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 }, models: { port: 0 } })
  const { origin, authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } = sandbox.github
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-prices-'))
  const prices = join(folder, 'prices.json')
  await writeFile(prices, JSON.stringify(PRICES))
  const gateway = await startGatewayProcess({
    file: {
      egress: { insecureAllowOrigins: [origin, sandbox.models.origin] },
      providers: { github: { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } },
      models: { providers: [{ id: 'sandbox', dialect: 'openai', name: 'Sandbox', base: sandbox.models.bases.openai }] },
      usage: { prices },
    },
  })
  return {
    gateway,
    github: sandbox.github,
    models: sandbox.models,
    async close() {
      await gateway.stop()
      await sandbox.close()
      await rm(folder, { recursive: true, force: true })
    },
  }
}
