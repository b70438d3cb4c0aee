/**
 * Owns the text of page cursors. Refuses a cursor of another list, tenant or filter: each is authenticated together with what
 * it was made for (battery T-23).
 *
 *   base64url( HMAC-SHA256(key, frame(binding..., position)) 32 bytes | position, UTF-8 )
 *
 * The position is the id of the last row given out. It is not hidden: the caller has seen that row.
 */
import { digestEquals, frame, hmacSha256 } from '@sallyport/core'
import type { KeyObject } from '@sallyport/core'
import { ProblemError } from './problem.ts'

const MAC_BYTES = 32
const PURPOSE = 'sallyport/cursor/1'

/** What a cursor belongs to: operation, tenant ids and filters, in a fixed order. The page size is left out: it may change. */
export type CursorBinding = readonly string[]

export interface Cursors {
  /** A cursor that continues after `position`. */
  issue(binding: CursorBinding, position: string): string
  /** The position, or undefined without a cursor. @throws ProblemError `validation_failed` for any text not issued for `binding`. */
  read(binding: CursorBinding, cursor: string | undefined): string | undefined
}

export function createCursors(key: KeyObject): Cursors {
  const mac = (binding: CursorBinding, position: string) => hmacSha256(key, frame([PURPOSE, ...binding, position]))
  return {
    issue: (binding, position) => Buffer.concat([mac(binding, position), Buffer.from(position, 'utf8')]).toString('base64url'),
    read: (binding, cursor) => {
      if (cursor === undefined) return undefined
      const bytes = Buffer.from(cursor, 'base64url')
      const position = bytes.subarray(MAC_BYTES).toString('utf8')
      const canonical = bytes.toString('base64url') === cursor && Buffer.from(position, 'utf8').equals(bytes.subarray(MAC_BYTES))
      if (!canonical || !digestEquals(bytes.subarray(0, MAC_BYTES), mac(binding, position))) throw refused()
      return position
    },
  }
}

function refused(): ProblemError {
  const faults = [{ pointer: '/query/cursor', reason: 'is not a cursor of this list; start from its first page' }]
  return new ProblemError('validation_failed', 'The cursor was not made for this list.', { faults })
}
