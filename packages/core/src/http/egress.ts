/**
 * Owns the one door through which calls leave this process: provider calls, token calls, webhooks, key sets alike. Refuses everything
 * the policy doesn't allow, and any way around it: no redirects, no proxies from the environment, no retries of its own.
 */
import { Agent } from 'undici'
import { createConnector } from './connect.ts'
import type { ConnectPolicy } from './connect.ts'
import { fetchBuffered } from './fetch.ts'
import type { FetchInit } from './fetch.ts'
import { forward } from './forward.ts'
import type { ForwardCall, ForwardResult } from './forward.ts'

/** Limits of outbound calls. Times in milliseconds; zero isn't "no limit", every call has all of them. */
export interface EgressPolicy extends ConnectPolicy {
  /** From the request's last byte to the end of the answer's headers. Granularity about half a second. */
  readonly headersTimeoutMs: number
  /** Longest silence inside an answer's body. Granularity about half a second. */
  readonly idleTimeoutMs: number
  /** From the start of the call, waiting for a free connection included, to the last byte handed on. */
  readonly totalTimeoutMs: number
  /** Largest answer, encoded or decoded. */
  readonly maxResponseBytes: number
  /** Of `forward`; `fetch` has as many again. */
  readonly maxConnectionsPerOrigin: number
}

/** Port 443 of public addresses, over TLS; bounds that a person or a job can wait for. */
export const DEFAULT_EGRESS_POLICY: EgressPolicy = {
  insecureAllowOrigins: [],
  allowedPorts: [443],
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 120_000,
  idleTimeoutMs: 120_000,
  totalTimeoutMs: 600_000,
  maxResponseBytes: 1024 * 1024 * 1024,
  maxConnectionsPerOrigin: 256,
}

const MAX_HEADER_BYTES = 32 * 1024
/** Shorter than most servers' own limit, so that we close first and a request seldom meets a closing connection. */
const KEEP_ALIVE_MS = 4_000
/** A connection outlives a change of its name's addresses by at most this. */
const CONNECTION_LIFE_MS = 300_000

/** The door. Safe for concurrent use; whoever made it closes it. */
export interface Egress {
  /**
   * One small call with its whole answer (1 MiB by default). https to an allowed, public origin; a redirect is an error.
   * @throws EgressError
   */
  fetch(input: string | URL, init?: FetchInit): Promise<Response>
  /** One call streamed through; redirects are passed on as answers. @throws EgressError while nothing was answered. */
  forward(call: ForwardCall): Promise<ForwardResult>
  /** Ends idle connections, lets running calls finish, refuses new ones. */
  close(): Promise<void>
}

/** Opens the door. Connections are pooled per origin and never shared between egresses. */
export function createEgress(policy: EgressPolicy): Egress {
  const streams = openAgent(policy)
  // Token calls, key sets and webhooks have connections of their own: calls that hang take none from them.
  const small = openAgent(policy)
  return {
    fetch: (input, init = {}) => fetchBuffered(small, policy, input, init),
    forward: (call) => forward(streams, policy, call),
    close: async () => void (await Promise.all([streams.close(), small.close()])),
  }
}

function openAgent(policy: EgressPolicy): Agent {
  return new Agent({
    allowH2: false,
    clientTtl: CONNECTION_LIFE_MS,
    connect: createConnector(policy),
    connections: policy.maxConnectionsPerOrigin,
    keepAliveTimeout: KEEP_ALIVE_MS,
    maxHeaderSize: MAX_HEADER_BYTES,
    pipelining: 1,
    strictContentLength: true,
  })
}
