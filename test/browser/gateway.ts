/** Owns the gateway under the browser tests: the real process with the console built into it, and GitHub's sandbox to connect at. */
import { startGatewayProcess } from '@sallyport/testkit'
import type { GatewayProcess } from '@sallyport/testkit'
import { startSandbox } from '@sallyport/sandbox'
import type { Sandbox } from '@sallyport/sandbox'
import { buildConsole } from '../../scripts/build-console.ts'

export interface BrowserStage {
  readonly gateway: GatewayProcess
  readonly github: Sandbox['github']
  close(): Promise<void>
}

/** The gateway looks for the console when it starts. @throws Error when it can't be built. */
export async function builtConsole(): Promise<void> {
  if ((await buildConsole()) === 'failed') throw new Error('the console could not be built')
}

export async function openBrowserStage(): Promise<BrowserStage> {
  await builtConsole()
  const sandbox = await startSandbox({ github: { port: 0 }, google: { port: 0 } })
  const { origin, authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } = sandbox.github
  const gateway = await startGatewayProcess({
    file: {
      egress: { insecureAllowOrigins: [origin] },
      providers: { github: { authorizationEndpoint, tokenEndpoint, userinfoEndpoint, apiBase } },
    },
  })
  return {
    gateway,
    github: sandbox.github,
    async close() {
      await gateway.stop()
      await sandbox.close()
    },
  }
}
