/**
 * Owns proving possession towards a provider's small endpoints (RFC 9449): the token endpoint and the account look-up. Refuses to send
 * anything twice but what the server refused for want of its nonce, and that once.
 */
import { openProofKey } from '../crypto/index.ts'
import type { Secret } from '../kernel/index.ts'
import { makeDpopProof } from '../jwt/index.ts'
import type { OutboundFetch } from './server.ts'

/** Servers whose nonce is remembered; the oldest are forgotten first. */
const MAX_ORIGINS = 1000
/** RFC 9449 section 8.1: characters of a nonce. Ones longer than this are nobody's. */
const NONCE = /^[\u0021\u0023-\u005b\u005d-\u007e]{1,512}$/u

/** The last nonce of each server, as one process knows them. Nonces are no secrets, and a lost one costs one more request. */
export interface DpopNonces {
  get(origin: string): string | undefined
  /** What no nonce can be is not remembered. */
  put(origin: string, nonce: string | null): void
}

/** The nonces of one process: of 1,000 servers at most. */
export function createDpopNonces(): DpopNonces {
  const known = new Map<string, string>()
  return {
    get: (origin) => known.get(origin),
    put(origin, nonce) {
      if (nonce === null || !NONCE.test(nonce) || known.get(origin) === nonce) return
      known.delete(origin)
      if (known.size >= MAX_ORIGINS) known.delete(known.keys().next().value!)
      known.set(origin, nonce)
    },
  }
}

/** Who proves possession of which key (RFC 9449). */
export interface DpopSender {
  /** Text of the private key. */
  readonly key: Secret
  readonly nonces: DpopNonces
  /** Wall time in milliseconds, at each call. */
  readonly now: () => number
}

/**
 * `fetch`, each of whose requests carries a proof: for a token endpoint, or with `accessToken` for a protected resource. A request that the
 * server refuses for want of a nonce (section 8, section 9) was not acted upon, so it is repeated once with the nonce that came with the refusal,
 * in what is left of the request's time.
 * @throws CryptoError `key_invalid`
 */
export function provingFetch(fetch: OutboundFetch, { key, nonces, now }: DpopSender, accessToken?: Secret): OutboundFetch {
  const signer = openProofKey(key)
  const token = accessToken === undefined ? {} : { accessToken }
  return async (url, request) => {
    const { origin } = new URL(url)
    const startedAt = performance.now()
    const send = async (nonce: string | undefined, totalTimeoutMs: number): Promise<Response> => {
      const proof = makeDpopProof(signer, { method: request.method, url, now: now(), nonce, ...token })
      const response = await fetch(url, { ...request, totalTimeoutMs, headers: { ...request.headers, dpop: proof } })
      nonces.put(origin, response.headers.get('dpop-nonce'))
      return response
    }
    const sent = nonces.get(origin)
    const response = await send(sent, request.totalTimeoutMs)
    const given = nonces.get(origin)
    const leftMs = Math.floor(request.totalTimeoutMs - (performance.now() - startedAt))
    return leftMs > 0 && given !== sent && (await wantsNonce(response)) ? send(given, leftMs) : response
  }
}

/** Whether a header of a 401 says that only the nonce was missing (RFC 9449 section 9). */
export function challengesForNonce(status: number, challenge: string | null | undefined): boolean {
  return status === 401 && /\berror="?use_dpop_nonce"?/u.test(challenge ?? '')
}

/** A protected resource says so in its challenge, a token endpoint in its body, which stays readable for whoever called. */
async function wantsNonce(response: Response): Promise<boolean> {
  if (challengesForNonce(response.status, response.headers.get('www-authenticate'))) return true
  if (response.status !== 400 && response.status !== 401) return false
  return /"error"\s*:\s*"use_dpop_nonce"/u.test(await response.clone().text())
}
