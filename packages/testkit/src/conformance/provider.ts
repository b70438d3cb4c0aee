/** Owns one connector's provider on loopback, sign-in included, whose list and token endpoint can be told to misbehave. */
import type { ServerResponse } from 'node:http'
import { listProviders } from '@sallyport/core'
import { json, startFakeServer } from '../fakes/fake-server.ts'
import type { Asked, Said } from '../fakes/fake-server.ts'
import { DOUBLES, feedOf } from './doubles.ts'
import type { Double } from './doubles.ts'

/** How it misbehaves; what is absent is lawful. */
export interface Misbehaviour {
  /** The answer of the list; by number of the call, from 1 on. */
  readonly list?: (double: Double | undefined, call: number, lawful: Said) => Said | ((response: ServerResponse) => void)
  /** Members of token answers that are changed; undefined drops one. */
  readonly members?: Readonly<Record<string, unknown>>
  /** The answer to a refresh, in its stead. */
  readonly refresh?: (double: Double) => Said | Promise<Said>
  /** The answer to a code, in its stead. */
  readonly exchange?: () => Said
}

export interface DoubleProvider {
  readonly origin: string
  readonly endpoints: Readonly<Record<'authorizationEndpoint' | 'tokenEndpoint' | 'userinfoEndpoint' | 'apiBase', string>>
  readonly feed: string
  readonly asked: readonly Asked[]
  /** The person agrees. */
  agree(url: string): string
  misbehave(how: Misbehaviour): void
  close(): Promise<void>
}

/** `connector`: one of the catalog's, or `feed`. */
export async function startDouble(connector: string, redirectUri: string): Promise<DoubleProvider> {
  const double = DOUBLES[connector]
  const record = listProviders().find(({ id }) => id === connector)
  let how: Misbehaviour = {}
  let lists = 0
  let grants = 0
  const token = (): Said => {
    grants += 1
    const members = {
      access_token: `access-${grants}`,
      refresh_token: `refresh-${grants}`,
      token_type: 'bearer',
      expires_in: 3600,
      scope: (record?.defaultScopes ?? []).join(record?.oauth.scopeSeparator ?? ' '),
    }
    return json(200, { ...members, ...how.members })
  }
  const server = await startFakeServer((asked) => lawful(asked))
  const lawful = ({ url, body }: Asked): Said => {
    if (url.pathname === '/token') return body.includes('grant_type=authorization_code') ? (how.exchange?.() ?? token()) : token()
    if (url.pathname === '/user') return json(200, identity(record?.userinfo))
    if (url.pathname === '/feed') return feedOf(['one', 'two'])
    const path = url.pathname.replace(/^\/api(?=\/)/u, '')
    if (double !== undefined && path === double.list) return double.page(['one', 'two'], undefined)
    const self = double?.self?.[path]
    return self === undefined ? json(404, {}) : json(200, self)
  }
  server.interfere((asked, response) => {
    const isList = asked.url.pathname === '/feed' || asked.url.pathname === `/api${double?.list}`
    if (isList && how.list !== undefined) {
      lists += 1
      const said = how.list(double, lists, lawful(asked))
      if (typeof said !== 'function') return said
      said(response)
      return 'handled'
    }
    if (asked.url.pathname !== '/token' || how.refresh === undefined || !asked.body.includes('grant_type=refresh_token')) return undefined
    void Promise.resolve(how.refresh(double!)).then(({ status, headers, body }) => response.writeHead(status, headers).end(body))
    return 'handled'
  })
  const at = (path: string): string => `${server.origin}${path}`
  return {
    origin: server.origin,
    endpoints: { authorizationEndpoint: at('/authorize'), tokenEndpoint: at('/token'), userinfoEndpoint: at('/user'), apiBase: at('/api') },
    feed: at('/feed'),
    asked: server.asked,
    agree: (url) => {
      const back = new URL(redirectUri)
      back.searchParams.set('code', 'a-code')
      back.searchParams.set('state', new URL(url).searchParams.get('state')!)
      return back.href
    },
    misbehave: (now) => {
      how = now
      lists = 0
    },
    close: () => server.close(),
  }
}

/** Id and name where the record looks for them. */
function identity(userinfo: { readonly idPath: readonly string[]; readonly labelPath: readonly string[] } | undefined): object {
  const put = (into: Record<string, unknown>, path: readonly string[], value: string): Record<string, unknown> => {
    const [name = '', ...rest] = path
    into[name] = rest.length === 0 ? value : put((into[name] ?? {}) as Record<string, unknown>, rest, value)
    return into
  }
  const withId = put({ ok: true }, userinfo?.idPath ?? [], '42')
  return put(withId, userinfo?.labelPath ?? [], 'a_person')
}
