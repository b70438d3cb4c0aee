/**
 * Owns what may be told of a failure. Refuses the message of any error that isn't ours: libraries put URLs, headers, rows and
 * bodies into theirs. Our own messages are held to carry no secret (kernel/errors.ts).
 */
import { types } from 'node:util'
import { SallyportError } from '../kernel/index.ts'
import { dataProperty, typeName } from './inspect.ts'

/** A failure in terms that are safe to log. Every text in it is one of ours, or matches a narrow grammar. */
export interface ErrorDescription {
  /** The error's name, or its type in brackets for something thrown that is no error. */
  readonly name: string
  /** A machine's code (`ECONNRESET`, `23505`, one of ours), where there is one. */
  readonly code?: string | number
  readonly errno?: number
  readonly syscall?: string
  /** Our own errors only. */
  readonly message?: string
  /** Call frames without the message line, innermost first, at most 20. */
  readonly stack?: readonly string[]
  /** At most 3 deep. */
  readonly cause?: ErrorDescription
  /** The failures gathered by an AggregateError, at most 5. */
  readonly errors?: readonly ErrorDescription[]
}

const MAX_CAUSES = 3
const MAX_GATHERED = 5
const MAX_FRAMES = 20
const MAX_MESSAGE = 2048

const NAME = /^[A-Za-z_$][\w$.]{0,63}$/
/**
 * Error numbers' names (`ECONNRESET`), constants of words (`UND_ERR_SOCKET`, `CERT_HAS_EXPIRED`) and SQLSTATE (five characters,
 * a digit among them). Anything freer is left out: an authorization code or an access key could stand there.
 */
const FOREIGN_CODE = /^(?:E[A-Z0-9]{2,14}|[A-Z]{2,16}(?:_[A-Z0-9]{1,16}){1,8}|(?=.*[0-9])[0-9A-Z]{5})$/
const SYSCALL = /^[a-z0-9_]{1,32}$/
/** `at name (place:line:column)` or `at place:line:column`, where a place is a module of Node, a file or a file URL without query. */
const FRAME =
  /^ {4}at (?:(?:[\w$.<>#[\] ]+) \((?:node:|file:\/\/\/|\/)[^\s?()]+:\d+:\d+\)|(?:async )?(?:node:|file:\/\/\/|\/)[^\s?()]+:\d+:\d+)$/

/** Describes anything that was thrown. Runs no code of the error, never throws; a cycle of causes ends at the depth limit. */
export function describeError(error: unknown): ErrorDescription {
  return describe(error, 0)
}

function describe(error: unknown, depth: number): ErrorDescription {
  if (types.isProxy(error) || !isError(error)) return { name: typeName(error) }
  const ours = error instanceof SallyportError
  return {
    name: nameOf(error),
    ...present('code', codeOf(error, ours)),
    ...present('errno', number(dataProperty(error, 'errno'), 9999)),
    ...present('syscall', matching(SYSCALL, dataProperty(error, 'syscall'))),
    ...(ours ? present('message', text(dataProperty(error, 'message'))) : {}),
    ...present('stack', framesOf(error)),
    ...(depth < MAX_CAUSES ? { ...causeOf(error, depth), ...gatheredBy(error, depth) } : {}),
  }
}

/** True for errors of any realm, and for objects made to inherit from Error. */
export function isError(value: unknown): value is Error {
  return types.isNativeError(value) || value instanceof Error
}

function nameOf(error: Error): string {
  // A platform class whose name (`AbortError`, `TimeoutError`) is a getter on its prototype: safe to read, and worth knowing.
  if (error instanceof DOMException) return matching(NAME, error.name) ?? 'DOMException'
  const named = matching(NAME, dataProperty(error, 'name'))
  if (named !== undefined && named !== 'Error') return named
  const type = typeName(error)
  return type === '[object]' ? 'Error' : type.slice(1, -1)
}

function codeOf(error: Error, ours: boolean): string | number | undefined {
  const code = dataProperty(error, 'code')
  return ours ? text(code) : (matching(FOREIGN_CODE, code) ?? number(code, 999))
}

function causeOf(error: Error, depth: number): { cause?: ErrorDescription } {
  const cause = dataProperty(error, 'cause')
  return cause === undefined ? {} : { cause: describe(cause, depth + 1) }
}

function gatheredBy(error: Error, depth: number): { errors?: readonly ErrorDescription[] } {
  const errors = dataProperty(error, 'errors')
  if (!(error instanceof AggregateError) || types.isProxy(errors) || !Array.isArray(errors)) return {}
  const count = Math.min(errors.length, MAX_GATHERED)
  return { errors: Array.from({ length: count }, (_, i) => describe(dataProperty(errors, String(i)), depth + 1)) }
}

/** Only lines that read as a frame, and only behind the message: a message can hold lines made to look like frames. */
function framesOf(error: Error): readonly string[] | undefined {
  const stack = stackOf(error)
  const message = dataProperty(error, 'message')
  if (stack === undefined || typeof message !== 'string') return undefined
  const lines = behind(message, stack)?.split('\n') ?? []
  const frames = lines.filter((line) => FRAME.test(line)).slice(0, MAX_FRAMES)
  return frames.length === 0 ? undefined : frames.map((line) => line.trim())
}

/** What follows the message in a stack, or undefined where the stack doesn't hold it (it was changed later) and can't be cut safely. */
function behind(message: string, stack: string): string | undefined {
  if (message.includes('\n')) {
    const at = stack.lastIndexOf(message)
    return at < 0 ? undefined : stack.slice(at + message.length)
  }
  const lineEnd = stack.indexOf('\n')
  const header = stack.slice(0, Math.max(lineEnd, 0))
  // Without a message the header is the name alone; a hook for source maps may leave the colon behind it.
  const holds = message === '' ? NAME.test(header.replace(/: ?$/, '')) : header.endsWith(message)
  return holds ? stack.slice(lineEnd) : undefined
}

/** The engine's own accessor, shared by all errors of this realm. Anyone else's is not read. */
const engineStack: { get?(this: void): unknown } | undefined = Object.getOwnPropertyDescriptor(new Error('probe'), 'stack')

/** V8 keeps the stack as a data property or behind its accessor, by version. */
function stackOf(error: Error): string | undefined {
  const descriptor: { get?(this: void): unknown; value?: unknown } | undefined = Object.getOwnPropertyDescriptor(error, 'stack')
  const byEngine = descriptor?.get !== undefined && descriptor.get === engineStack?.get
  const stack: unknown = byEngine ? error.stack : descriptor?.value
  return typeof stack === 'string' ? stack : undefined
}

function present<Name extends string, Value>(name: Name, value: Value | undefined): { [Key in Name]?: Value } {
  return value === undefined ? {} : ({ [name]: value } as { [Key in Name]: Value })
}

function matching(pattern: RegExp, value: unknown): string | undefined {
  return typeof value === 'string' && pattern.test(value) ? value : undefined
}

/** A small whole number: a status, a signal, a libuv errno. A larger one could be a one-time code. */
function number(value: unknown, limit: number): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) <= limit ? value : undefined
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, MAX_MESSAGE) : undefined
}
