/**
 * Owns what a provider may do wrong, and what a caller of the SDK then sees: one row of the matrix each. Refuses to know connectors: a row that
 * came out differently for one of them is a finding.
 */
import type { ServerResponse } from 'node:http'
import { ConnectorError, Sallyport, SallyportError } from '@sallyport/core'
import type { SallyportConfig } from '@sallyport/core'
import { DOUBLES, feedOf } from './doubles.ts'
import type { Double } from './doubles.ts'
import type { DoubleProvider, Misbehaviour } from './provider.ts'

export const REDIRECT_URI = 'https://app.example/callback'
const MEGABYTE = 1024 * 1024
const THREE_HUNDRED = Array.from({ length: 300 }, (_, index) => String(index))

/** One cell's stage. */
export interface Stage {
  readonly connector: string
  readonly provider: DoubleProvider
  readonly sallyport: Sallyport
}

export interface Behaviour {
  readonly name: string
  /** `account`: connectors with a sign-in; `all`: feeds too. */
  readonly of: 'account' | 'all'
  /** What the caller sees, in a few words. */
  readonly run: (stage: Stage) => Promise<string>
  readonly expected: string
  /** Where one of them is seen otherwise, and rightly so. */
  readonly except?: Readonly<Record<string, string>>
}

export async function startStage(connector: string, provider: DoubleProvider): Promise<Stage> {
  const client = { clientId: 'an-id', clientSecret: 'a fake secret', redirectUri: REDIRECT_URI, endpoints: provider.endpoints }
  const config: SallyportConfig = {
    mode: 'development',
    tokenStore: { backend: 'memory' },
    providers: connector === 'feed' ? {} : { [connector]: client },
    insecureAllowOrigins: [provider.origin],
    http: { retry: { maxRetries: 2, baseDelay: 1, maxDelay: 2_000 } },
    logging: { level: 'silent' },
  }
  return { connector, provider, sallyport: await Sallyport.init(config) }
}

const of = (connector: string) => ({ provider: connector, userId: 'ada' })

async function connect({ connector, provider, sallyport }: Stage): Promise<readonly string[]> {
  const { url } = await sallyport.connect(of(connector))
  const { missingScopes } = await sallyport.handleCallback(provider.agree(url), { userId: 'ada' })
  return missingScopes
}

/** How many items came, or why none did. */
async function items(stage: Stage, limit = 250): Promise<string> {
  const { connector, provider, sallyport } = stage
  const { collection = '', params = {} } = DOUBLES[connector] ?? {}
  const all =
    connector === 'feed'
      ? sallyport.fetch({ provider: 'feed', url: provider.feed, limit })
      : sallyport.fetch({ ...of(connector), collection, params, limit })
  return outcome(async () => {
    let count = 0
    for await (const { faults } of all) count += faults.length === 0 ? 1 : 0
    return `${count} items`
  })
}

async function outcome(work: () => Promise<string>): Promise<string> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof ConnectorError && error.status !== null) return `${error.code} (${error.status})`
    if (error instanceof SallyportError) return error.code
    throw error
  }
}

/** Connects while all is well, then reads a list that misbehaves. */
function reading(list: NonNullable<Misbehaviour['list']>, limit?: number): Behaviour['run'] {
  return async (stage) => {
    if (stage.connector !== 'feed') await connect(stage)
    stage.provider.misbehave({ list })
    return items(stage, limit)
  }
}

/** A caller waits a second for a refresh whose token can be used yet; on a busy machine that is too short for an answer that is there. */
async function renewed(stage: Stage): Promise<string> {
  for (;;) {
    const seen = await refreshedOnce(stage)
    if (seen !== 'refresh_pending') return seen
  }
}

async function refreshedOnce({ sallyport, connector }: Stage): Promise<string> {
  return outcome(async () => {
    await sallyport.refresh(of(connector))
    return 'renewed'
  })
}

/** A refresh that misbehaves, then a call with what there is. */
function refreshing(refresh: NonNullable<Misbehaviour['refresh']>): Behaviour['run'] {
  return async (stage) => {
    await connect(stage)
    stage.provider.misbehave({ refresh })
    return `${await renewed(stage)}, then ${await items(stage)}`
  }
}

const html =
  (status: number): Misbehaviour['list'] & object =>
  () => ({
    status,
    headers: { 'content-type': 'text/html' },
    body: '<!doctype html><title>Sorry</title>',
  })
const limitedOf = (double: Double | undefined, after?: string) => {
  const { status = 429, body = '', headers = {} } = double?.limited ?? {}
  return { status, body, headers: { ...headers, ...(after === undefined ? {} : { 'retry-after': after }) } }
}

/** Says nothing until it is let go of. */
function silence(): { readonly refresh: NonNullable<Misbehaviour['refresh']>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  const refresh = async () => {
    await promise
    const body = JSON.stringify({ access_token: 'late-access', refresh_token: 'late-refresh', token_type: 'bearer', expires_in: 3600 })
    return { status: 200, headers: { 'content-type': 'application/json' }, body }
  }
  return { refresh, end: resolve }
}

/** How much of it was taken before the reader had enough. */
function flood(response: ServerResponse, total: number, done: (bytes: number) => void): void {
  const chunk = Buffer.alloc(64 * 1024, ' ')
  let sent = 0
  const more = (): void => {
    while (sent < total && !response.destroyed) {
      sent += chunk.length
      if (!response.write(chunk)) return
    }
    response.end()
  }
  response.on('drain', more).on('close', () => done(sent))
  response.writeHead(200, { 'content-type': 'application/json' })
  more()
}

export const BEHAVIOURS: readonly Behaviour[] = [
  { name: 'All is well', of: 'all', run: reading((_double, _call, lawful) => lawful), expected: '2 items' },
  {
    name: 'Token endpoint does not answer a refresh',
    of: 'account',
    run: async (stage) => {
      await connect(stage)
      const { refresh, end } = silence()
      stage.provider.misbehave({ refresh })
      const seen = `${await refreshedOnce(stage)}, then ${await items(stage)}`
      end()
      // The answer that comes late is taken all the same.
      return `${seen}, then ${await renewed(stage)}`
    },
    expected: 'refresh_pending, then 2 items, then renewed',
  },
  {
    name: 'Token answer without `expires_in`',
    of: 'account',
    run: async (stage) => {
      stage.provider.misbehave({ members: { expires_in: undefined } })
      await connect(stage)
      const { expiresAt } = (await stage.sallyport.getConnectionHealth(of(stage.connector)))!
      return `expires ${expiresAt === null ? 'unknown' : 'known'}, then ${await items(stage)}`
    },
    expected: 'expires unknown, then 2 items',
  },
  {
    name: 'Fewer scopes granted than asked for',
    of: 'account',
    run: async (stage) => {
      stage.provider.misbehave({ members: { scope: 'one-that-nobody-asked-for' } })
      return `connected, ${(await connect(stage)).length > 0 ? 'and the missing ones named' : 'and nothing said'}`
    },
    expected: 'connected, and the missing ones named',
  },
  {
    name: 'HTML with status 200 for a code',
    of: 'account',
    run: async (stage) => {
      stage.provider.misbehave({ exchange: () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Welcome</h1>' }) })
      return outcome(async () => `connected ${(await connect(stage)).length}`)
    },
    expected: 'connect_exchange_failed',
  },
  {
    name: 'HTML with status 502 for a refresh',
    of: 'account',
    run: refreshing(() => ({ status: 502, headers: { 'content-type': 'text/html' }, body: '<h1>Bad gateway</h1>' })),
    expected: 'refresh_outcome_unknown, then 2 items',
    // Where a refresh token that was used is good for a while yet, nothing is unknown: it is shown once more.
    except: { google: 'provider_unavailable, then 2 items', microsoft: 'provider_unavailable, then 2 items' },
  },
  {
    name: 'Refresh token refused as used before, in the provider’s words',
    of: 'account',
    run: refreshing(({ spent }) => spent),
    expected: 'reconnect_required, then reconnect_required',
  },
  {
    name: '429 with `Retry-After: 1`, once',
    of: 'all',
    run: reading((double, call, lawful) => (call === 1 ? limitedOf(double, '1') : lawful)),
    expected: '2 items',
  },
  {
    name: '429 without `Retry-After`, once',
    of: 'all',
    run: reading((double, call, lawful) => (call === 1 ? limitedOf(double) : lawful)),
    expected: '2 items',
  },
  {
    name: '429 with `Retry-After: 99999999`',
    of: 'all',
    run: reading((double) => limitedOf(double, '99999999')),
    expected: 'collection_refused (429)',
  },
  { name: 'HTML with status 500', of: 'all', run: reading(html(500)), expected: 'collection_refused (500)' },
  {
    name: 'HTML with status 200',
    of: 'all',
    run: reading(html(200)),
    expected: 'collection_unreadable (200)',
    except: { feed: 'collection_unreadable' },
  },
  {
    name: 'Bytes that mean nothing',
    of: 'all',
    run: reading(() => ({ status: 200, headers: { 'content-type': 'application/json' }, body: '\u0000\u0001{{{' })),
    expected: 'collection_unreadable (200)',
    except: { feed: 'collection_unreadable' },
  },
  {
    name: 'An answer of 200 MB',
    of: 'all',
    run: async (stage) => {
      const { promise, resolve } = Promise.withResolvers<number>()
      const seen = await reading(() => (response) => flood(response, 200 * MEGABYTE, resolve))(stage)
      return `${seen}, ${(await promise) < 100 * MEGABYTE ? 'cut off' : 'taken whole'}`
    },
    expected: 'upstream_too_large, cut off',
  },
  {
    name: 'A body that breaks off',
    of: 'all',
    run: reading(() => (response) => {
      response.writeHead(200, { 'content-length': '4096' })
      response.write('[', () => response.destroy())
    }),
    expected: 'upstream_reset',
  },
  {
    name: 'A redirect to another origin',
    of: 'all',
    run: reading(() => ({ status: 302, headers: { location: 'http://127.0.0.1:9/elsewhere' } })),
    expected: 'collection_refused (302)',
    except: { feed: 'egress_refused' },
  },
  {
    name: 'Pages without end',
    of: 'account',
    run: reading((double, call) => double!.page([`${call}a`, `${call}b`], String(call)), 25),
    expected: '25 items',
  },
  {
    name: 'Pages in a circle',
    of: 'account',
    run: reading((double) => double!.page(['a', 'b'], 'again')),
    expected: 'collection_endless',
  },
  {
    name: 'Three hundred items in one answer, of which 250 are wanted',
    of: 'all',
    run: reading((double) => (double === undefined ? feedOf(THREE_HUNDRED) : double.page(THREE_HUNDRED, undefined))),
    expected: '250 items',
  },
]
