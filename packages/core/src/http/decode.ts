/**
 * Owns undoing of content codings (RFC 9110 section 8.4), needed because an encoded body can't be searched for echoed secrets.
 * Refuses what it doesn't know, more than one coding, and expansion beyond a ratio.
 */
import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw, createZstdDecompress } from 'node:zlib'
import { EgressError } from './egress-error.ts'

const MAX_RATIO = 200
/** Small answers may expand well; only past this does the ratio count. */
const RATIO_FREE_BYTES = 1024 * 1024

type Coding = 'gzip' | 'deflate' | 'br' | 'zstd'

const CODINGS: Readonly<Record<string, Coding>> = { gzip: 'gzip', 'x-gzip': 'gzip', deflate: 'deflate', br: 'br', zstd: 'zstd' }

/**
 * The coding to undo, or undefined for none.
 * @throws EgressError `upstream_invalid` for an unknown coding or a chain of them.
 */
export function parseCoding(contentEncoding: string | undefined): Coding | undefined {
  const name = contentEncoding?.trim().toLowerCase() ?? ''
  if (name === '' || name === 'identity') return undefined
  const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined
  if (coding === undefined) throw new EgressError('upstream_invalid', 'content_encoding', true)
  return coding
}

/** A streaming decoder. Flushes as it goes, so that an encoded event stream still arrives event by event. */
export function createDecoder(coding: Coding, firstByte: number): Transform {
  if (coding === 'br') return createBrotliDecompress({ flush: constants.BROTLI_OPERATION_FLUSH })
  if (coding === 'zstd') return createZstdDecompress({ flush: constants.ZSTD_e_flush })
  const options = { flush: constants.Z_SYNC_FLUSH }
  if (coding === 'gzip') return createGunzip(options)
  // "deflate" means zlib (RFC 1950); servers that send the bare stream (RFC 1951) are told by the first byte.
  return (firstByte & 0x0f) === 8 ? createInflate(options) : createInflateRaw(options)
}

/** @throws EgressError `upstream_too_large` when `encoded` bytes have become suspiciously many. */
export function requireModestRatio(encoded: number, decoded: number): void {
  if (decoded > RATIO_FREE_BYTES && decoded > encoded * MAX_RATIO) throw new EgressError('upstream_too_large', 'ratio', true)
}

export type { Coding }
