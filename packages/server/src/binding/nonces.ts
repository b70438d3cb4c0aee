/**
 * Owns the nonces that callers are asked to put into their proofs (RFC 9449 section 8): they limit how long before a request its proof can have
 * been made. Refuses to remember any: a nonce is its time and a MAC over it, so every node knows every node's.
 *
 *   base64url( periods since 1970, 8 bytes big-endian | first 16 bytes of HMAC-SHA256 )
 */
import { digestEquals, hmacSha256 } from '@sallyport/core'
import type { Clock, KeyObject } from '@sallyport/core'

/** A nonce is given out for one period and good to the end of the next. */
const PERIOD_MS = 120_000
const TIME_BYTES = 8
const MAC_BYTES = 16
const PURPOSE = 'sallyport dpop nonce 1'

export interface Nonces {
  /** The one to give now. */
  current(): string
  isGood(nonce: string): boolean
}

/** @param key `vault.systemSecret('dpop_nonce')` */
export function createNonces(key: KeyObject, clock: Pick<Clock, 'now'>): Nonces {
  const period = (): number => Math.floor(clock.now() / PERIOD_MS)
  return {
    current: () => nonceOf(key, period()),
    isGood(nonce) {
      const given = Buffer.from(nonce, 'base64url')
      const now = period()
      return [now, now - 1].some((one) => digestEquals(given, bytesOf(key, one)))
    },
  }
}

function nonceOf(key: KeyObject, period: number): string {
  return bytesOf(key, period).toString('base64url')
}

function bytesOf(key: KeyObject, period: number): Buffer {
  const time = Buffer.alloc(TIME_BYTES)
  time.writeBigUInt64BE(BigInt(period))
  return Buffer.concat([time, hmacSha256(key, PURPOSE, time).subarray(0, MAC_BYTES)])
}
