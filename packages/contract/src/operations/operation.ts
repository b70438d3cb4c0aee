/** Owns what an operation of the control plane declares, and how its path begins. */
import type { z } from 'zod'
import type { RouteAccess } from '../access.ts'

/** Of an operation. Changes are POST, PATCH and DELETE; none is a GET. */
export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'

/** One route: its address, who may use it, what it takes and what it answers. */
export interface Operation {
  readonly method: Method
  /** With `{name}` placeholders, as in OpenAPI. */
  readonly path: string
  readonly tag: string
  readonly summary: string
  readonly access: RouteAccess
  readonly params?: z.ZodObject
  readonly query?: z.ZodObject
  readonly body?: z.ZodObject
  /** The body of a success; null where there is none (204). */
  readonly response: z.ZodType | null
  /** Media types of a success that is text, streamed, and no JSON; `response` is a string then. */
  readonly media?: readonly [string, ...string[]]
  readonly status: 200 | 201 | 204
}

/** Checks the shape and keeps the literal types, from which the client is inferred. */
export const define = <const O extends Operation>(operation: O): O => operation
