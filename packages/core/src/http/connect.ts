/**
 * Owns the moment of connecting: the one place where a name becomes an address. Resolves once per connection, judges every address
 * of the answer, connects to one of those with the name as SNI, and judges the address really reached. Refuses proxies from the
 * environment (it never looks), TLS below 1.2 and unverified certificates, whatever the environment says.
 */
import { lookup as dnsLookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { LookupFunction, Socket } from 'node:net'
import { buildConnector } from 'undici'
import { judgeAddress } from './address.ts'
import { EgressError, toEgressError } from './egress-error.ts'
import { isAddressLiteral } from './origin.ts'
import type { OriginPolicy } from './origin.ts'

/** An address that a name resolved to. `family`: 4 or 6. */
export interface ResolvedAddress {
  readonly address: string
  readonly family: number
}

/** Gives the addresses of a name; rejects when there are none. */
export type Resolver = (hostname: string) => Promise<readonly ResolvedAddress[]>

export interface ConnectPolicy extends OriginPolicy {
  readonly connectTimeoutMs: number
  readonly resolver?: Resolver
  /** Address of this machine that connections begin at; other machines are then reached by addresses of its family alone. */
  readonly localAddress?: string | undefined
  /** PEM certificates trusted instead of the built-in ones. */
  readonly caCertificates?: readonly string[]
}

const systemResolver: Resolver = (hostname) => dnsLookup(hostname, { all: true })

/** A connector for undici that enforces the policy. Calls back with EgressErrors only. */
export function createConnector(policy: ConnectPolicy): buildConnector.connector {
  const { localAddress } = policy
  const resolver = policy.resolver ?? systemResolver
  const judged = buildConnector(connectOptions(policy, plainLookup(ofFamily(judging(resolver), localAddress))))
  const insecure = buildConnector(connectOptions(policy, plainLookup(ofFamily(resolver, localAddress))))
  return (target, callback) => {
    const exempt = policy.insecureAllowOrigins.includes(`${target.protocol}//${target.host ?? ''}`)
    if (!exempt && !mayDial(target, policy)) {
      callback(new EgressError('egress_refused', 'target'), null)
      return
    }
    const connect = exempt ? insecure : judged
    connect({ ...withServerName(target), localAddress: localAddress ?? null }, (error, socket) => {
      if (error !== null) callback(toEgressError(error, false), null)
      else if (exempt || isJudgedPublic(socket)) callback(null, socket)
      else callback(new EgressError('egress_refused', 'address'), null)
    })
  }
}

function connectOptions(policy: ConnectPolicy, lookup: LookupFunction): buildConnector.BuildOptions {
  return {
    // One request per connection at a time keeps failures apart; HTTP/2 would share one among callers.
    allowH2: false,
    autoSelectFamily: true,
    lookup,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    timeout: policy.connectTimeoutMs,
    ...(policy.caCertificates === undefined ? {} : { ca: [...policy.caCertificates] }),
  }
}

/** The same rules as when the origin was saved, asked again of what is about to be dialled. */
function mayDial(target: buildConnector.Options, policy: ConnectPolicy): boolean {
  const port = target.port === '' ? 443 : Number(target.port)
  return (
    target.protocol === 'https:' &&
    policy.allowedPorts.includes(port) &&
    !isAddressLiteral(target.hostname) &&
    !target.hostname.includes(':')
  )
}

/** SNI is the dialled name, never a Host header's; an address has none (RFC 6066 section 3). */
function withServerName({ servername: _ignored, ...target }: buildConnector.Options): buildConnector.Options {
  const literal = isAddressLiteral(target.hostname) || target.hostname.includes(':')
  return literal || target.protocol !== 'https:' ? target : { ...target, servername: target.hostname }
}

/** Looks at the socket itself, so that a lookup hook that was bypassed is still caught. */
function isJudgedPublic(socket: Socket): boolean {
  if (judgeAddress(socket.remoteAddress ?? '') === undefined) return true
  socket.destroy()
  return false
}

/** From an address of one family nothing of the other is reached. */
function ofFamily(resolver: Resolver, localAddress: string | undefined): Resolver {
  if (localAddress === undefined) return resolver
  const wanted = isIP(localAddress)
  return async (hostname) => (await resolver(hostname)).filter(({ family }) => family === wanted)
}

/** One internal address among several refuses the name: an answer that mixes them is an attack or a mistake. */
function judging(resolver: Resolver): Resolver {
  return async (hostname) => {
    const found = await resolver(hostname)
    if (found.some(({ address }) => judgeAddress(address) !== undefined)) throw new EgressError('egress_refused', 'address')
    return found
  }
}

function plainLookup(resolver: Resolver): LookupFunction {
  return (hostname, options, callback) => {
    resolver(hostname).then(
      (found) => {
        const first = found[0]
        if (first === undefined) callback(new EgressError('upstream_unreachable', 'ENOTFOUND'), '')
        else if (options.all === true)
          callback(
            null,
            found.map(({ address, family }) => ({ address, family })),
          )
        else callback(null, first.address, first.family)
      },
      (error: unknown) => callback(toEgressError(error, false), ''),
    )
  }
}
