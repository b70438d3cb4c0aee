/**
 * Starts the sandbox providers: for each an emulator on a free port and our strict front before it, on the port that everyone is told; and beside
 * them the vendors of models. It owns the listeners and closes them; the rules are in `front.ts` and `models/`.
 */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createEmulator, type Emulator, type SeedConfig } from 'emulate'
import { Front } from './front.ts'
import { github, githubSeed } from './github.ts'
import { createGoogle, googleSeed } from './google.ts'
import { GrantBook } from './grants.ts'
import { createIdTokenSigner } from './id-token.ts'
import { startModelVendors, type ModelProvider } from './models/index.ts'
import type { Provider } from './provider.ts'
import { Upstream } from './upstream.ts'

const PREFERRED_PORTS = { github: 7256, google: 7257, models: 7258 }
const MODEL_KEY = 'sandbox-model-key-not-a-secret'

export interface SandboxProvider {
  /** `http://127.0.0.1:<port>`, without a trailing slash. */
  origin: string
  authorizationEndpoint: string
  tokenEndpoint: string
  userinfoEndpoint: string
  apiBase: string
  /** Where tokens are taken back by RFC 7009; absent where the API has a way of its own. */
  revocationEndpoint?: string
  clientId: string
  clientSecret: string
  /** Who can sign in, by the value that the sign-in form submits. The first one owns the most data. */
  users: string[]
}

/** Vendors of models, one address each. */
export interface SandboxModels {
  origin: string
  /** What comes before `/v1` in the vendors' own addresses. */
  bases: { openai: string; anthropic: string; gemini: string }
  /** Opens all of them. */
  key: string
  /** The model that answers. */
  model: string
}

export interface SandboxOptions {
  /** `port` 0 asks for any free port; absent prefers 7256 and takes a free one when that is busy. */
  github?: { port?: number }
  /** Likewise, preferring 7257. */
  google?: { port?: number }
  /** Likewise, preferring 7258. `pauseMs` between the words of a stream; default 0. */
  models?: { port?: number; pauseMs?: number }
  /** Where granted tokens are remembered (as hashes). Absent: they end with the sandbox. */
  stateFile?: string
  host?: '127.0.0.1'
}

export interface Sandbox {
  github: SandboxProvider
  google: SandboxProvider
  models: SandboxModels
  /** Stops listening and cuts what is open. Safe to call again. */
  close(): Promise<void>
}

interface Running {
  provider: SandboxProvider
  close(): Promise<void>
}

/** Starts them all. @throws Error when a port that was asked for is busy, or the state file cannot be read. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const book = await GrantBook.open(options.stateFile)
  const google = createGoogle(await createIdTokenSigner())
  const started: Running[] = []
  const close = async (): Promise<void> => {
    await Promise.all(started.map((running) => running.close()))
  }
  try {
    const first = await startProvider(github, githubSeed, book, options.github?.port)
    started.push(first)
    const second = await startProvider(google, (uri) => googleSeed(uri, google.client), book, options.google?.port)
    started.push(second)
    const vendors = await startModels(options.models ?? {})
    return { github: first.provider, google: second.provider, models: modelsOf(vendors), close: () => closeAll(close, vendors) }
  } catch (error) {
    await close()
    throw error
  }
}

/** On `port` when given, else on the preferred one, else on any free one. */
async function startModels({ port, pauseMs = 0 }: NonNullable<SandboxOptions['models']>): Promise<ModelProvider> {
  const options = { key: MODEL_KEY, pauseMs }
  try {
    return await startModelVendors({ ...options, port: port ?? PREFERRED_PORTS.models })
  } catch (error) {
    if (port !== undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return await startModelVendors(options)
  }
}

async function closeAll(close: () => Promise<void>, vendors: ModelProvider): Promise<void> {
  await Promise.all([close(), vendors.close()])
}

function modelsOf({ origin, key, models }: ModelProvider): SandboxModels {
  const bases = { openai: `${origin}/openai`, anthropic: `${origin}/anthropic`, gemini: `${origin}/gemini` }
  return { origin, bases, key, model: models.chat[0] ?? '' }
}

async function startProvider(
  provider: Provider,
  seed: (redirectUri: string) => SeedConfig,
  book: GrantBook,
  port: number | undefined,
): Promise<Running> {
  // The front listens first, because the emulator must know the front's origin; calls that come in between wait for it.
  const { promise: ready, resolve: open } = Promise.withResolvers<Front>()
  const server = createServer((request, response) => {
    void ready.then((front) => front.handle(request, response))
  })
  await listen(server, port, PREFERRED_PORTS[provider.name])
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const origin = `http://${host}`
  const upstreamRedirectUri = `${origin}/sandbox/never-visited`
  const { emulator, port: upstreamPort } = await startEmulator(provider.name, origin, seed(upstreamRedirectUri)).catch(async (error) => {
    await closeServer(server)
    throw error
  })
  const upstream = new Upstream(upstreamPort, host)
  open(new Front({ provider, book, upstream, upstreamRedirectUri, now: Date.now }))
  return {
    provider: endpoints(provider, origin),
    close: async () => {
      await closeServer(server)
      upstream.close()
      await emulator.close()
    },
  }
}

/**
 * Starts the emulator on a free port. It does not say which port it took when it was given a base URL, so the port is chosen here, and chosen
 * again when another process was quicker.
 */
async function startEmulator(
  service: Provider['name'],
  baseUrl: string,
  seed: SeedConfig,
  attempts = 5,
): Promise<{ emulator: Emulator; port: number }> {
  const port = await freePort()
  try {
    return { emulator: await createEmulator({ service, port, hostname: '127.0.0.1', baseUrl, seed }), port }
  } catch (error) {
    if (attempts <= 1 || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return await startEmulator(service, baseUrl, seed, attempts - 1)
  }
}

async function freePort(): Promise<number> {
  const probe = createServer()
  await listenOn(probe, 0)
  const { port } = probe.address() as AddressInfo
  await closeServer(probe)
  return port
}

function endpoints(provider: Provider, origin: string): SandboxProvider {
  return {
    origin,
    authorizationEndpoint: origin + provider.paths.authorize,
    tokenEndpoint: origin + provider.paths.token,
    userinfoEndpoint: origin + provider.paths.userinfo,
    apiBase: origin,
    ...(provider.paths.revoke === undefined ? {} : { revocationEndpoint: origin + provider.paths.revoke }),
    clientId: provider.client.id,
    clientSecret: provider.client.secret,
    users: [...provider.users],
  }
}

/** Listens on `port` when given, else on `preferred`, else, when that one is busy, on any free port. */
async function listen(server: Server, port: number | undefined, preferred: number): Promise<void> {
  try {
    await listenOn(server, port ?? preferred)
  } catch (error) {
    if (port !== undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    await listenOn(server, 0)
  }
}

function listenOn(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // A second close reports that the server is not running, which is what was asked for.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
