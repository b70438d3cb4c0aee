/**
 * Owns calling the control plane by the contract's table: what may be sent and what comes back follow from the operation's name.
 * Refuses answers that don't fit their schema. Runs in browsers and in Node.
 */
import { operations, problemSchema } from '@sallyport/contract'
import type { Operation, OperationName, Operations } from '@sallyport/contract'
import type { z } from 'zod'
import { SallyportAnswerError, SallyportApiError } from './errors.ts'

/** Which gateway, and who calls it. */
export interface ClientOptions {
  /** The gateway's address; paths of the contract are resolved against its origin. */
  readonly baseUrl: string | URL
  /** A gateway key, or a token of an issuer that the gateway takes. Without one the browser's console session is used. */
  readonly key?: string
  /** Default: the global fetch. */
  readonly fetch?: typeof globalThis.fetch
  /** A `Cookie` header to send, for callers outside browsers that hold a console session. */
  readonly cookies?: string
  /** Sent with every call; `Origin` for callers outside browsers that use `cookies`. */
  readonly headers?: Readonly<Record<string, string>>
}

type Part = 'params' | 'query' | 'body'
type SchemaOf<Name extends OperationName, P extends Part> =
  Operations[Name] extends Readonly<Record<P, infer S extends z.ZodType>> ? S : never

/** The parts that operation `Name` takes, and no others. A part whose every field is optional may be left out. */
export type Input<Name extends OperationName> = {
  readonly [P in Part as [SchemaOf<Name, P>] extends [never] ? never : object extends z.input<SchemaOf<Name, P>> ? never : P]: z.input<
    SchemaOf<Name, P>
  >
} & {
  readonly [P in Part as [SchemaOf<Name, P>] extends [never] ? never : object extends z.input<SchemaOf<Name, P>> ? P : never]?: z.input<
    SchemaOf<Name, P>
  >
}

/** What operation `Name` answers; undefined where it answers nothing. */
export type Output<Name extends OperationName> = Operations[Name]['response'] extends z.ZodType
  ? z.output<Operations[Name]['response']>
  : undefined

/** Operations that answer a page, and what stands on it. */
export type ListName = { [Name in OperationName]: Output<Name> extends { next_cursor: string | null } ? Name : never }[OperationName]
/** A row of a list. */
export type Item<Name extends ListName> = Output<Name> extends { data: (infer Row)[] } ? Row : never

/** How one call is made, beside its parts. */
export interface CallOptions {
  /** Ends the call: it rejects with its reason. */
  readonly signal?: AbortSignal
  /**
   * Of a creation: sent again with the same key and the same parts within a day, nothing is made again and the answer is the one from before. 1 to 255
   * visible ASCII characters, best a random UUID.
   */
  readonly idempotencyKey?: string
}

/** An operation without parts takes none: an object that may be empty would take anything. */
type Arguments<Name extends OperationName> = [keyof Input<Name>] extends [never]
  ? [input?: Record<string, never>, options?: CallOptions]
  : object extends Input<Name>
    ? [input?: Input<Name>, options?: CallOptions]
    : [input: Input<Name>, options?: CallOptions]

/** Every operation of the contract by its name. */
export interface Client {
  /**
   * One request. @throws SallyportApiError for a problem; SallyportAnswerError for an answer that is not of the contract; what `fetch`
   * throws when there is no answer.
   */
  call<Name extends OperationName>(name: Name, ...args: Arguments<Name>): Promise<Output<Name>>
  /** Every row of a list, page after page; the next page is asked for when it is needed. */
  pages<Name extends ListName>(name: Name, ...args: Arguments<Name>): AsyncGenerator<Item<Name>, void, undefined>
}

/** Any operation's parts, as they are put on the wire. */
interface WireInput {
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | undefined>>
  readonly body?: unknown
}

/** A client of one gateway, with one method for each operation of the contract. It keeps nothing and repeats nothing. */
export function createClient(options: ClientOptions): Client {
  const send = async (name: OperationName, input: WireInput = {}, { signal, idempotencyKey }: CallOptions = {}): Promise<unknown> => {
    const operation: Operation = operations[name]
    const fetch = options.fetch ?? globalThis.fetch
    const response = await fetch(addressOf(options.baseUrl, operation, input), {
      method: operation.method,
      headers: headersOf(options, input, idempotencyKey),
      // The session's cookie goes to our own origin only; with a key there must be no second credential.
      credentials: options.key === undefined ? 'same-origin' : 'omit',
      redirect: 'error',
      ...(input.body === undefined ? {} : { body: JSON.stringify(input.body) }),
      ...(signal === undefined ? {} : { signal }),
    })
    return readAnswer(name, operation, response)
  }
  return {
    call: (name, ...[input, callOptions]) => send(name, input, callOptions) as Promise<never>,
    pages: (name, ...[input, callOptions]) => walk(send, name, input, callOptions) as AsyncGenerator<never, void, undefined>,
  }
}

async function* walk(
  send: (name: OperationName, input?: WireInput, options?: CallOptions) => Promise<unknown>,
  name: ListName,
  input: WireInput = {},
  options?: CallOptions,
): AsyncGenerator<unknown, void, undefined> {
  let next: WireInput | undefined = input
  while (next !== undefined) {
    const { data, next_cursor: cursor } = (await send(name, next, options)) as Output<ListName>
    yield* data
    next = cursor === null ? undefined : { ...input, query: { ...input.query, cursor } }
  }
}

/** @throws TypeError for a parameter that is no id: text like `..` would address another operation. */
function addressOf(baseUrl: string | URL, { path, params: shape }: Operation, { params = {}, query = {} }: WireInput): URL {
  if (shape !== undefined && !shape.safeParse(params).success) throw new TypeError(`the parameters do not fit ${path}`)
  const filled = path.replace(/\{(\w+)\}/gu, (_, name: string) => encodeURIComponent(params[name] ?? ''))
  const url = new URL(filled, baseUrl)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
  return url
}

function headersOf({ key, cookies, headers }: ClientOptions, { body }: WireInput, idempotencyKey: string | undefined): Headers {
  const all = new Headers({ accept: 'application/json, application/problem+json', ...headers })
  if (key !== undefined) all.set('authorization', `Bearer ${key}`)
  if (cookies !== undefined) all.set('cookie', cookies)
  if (body !== undefined) all.set('content-type', 'application/json')
  if (idempotencyKey !== undefined) all.set('idempotency-key', idempotencyKey)
  return all
}

async function readAnswer(name: string, operation: Operation, response: Response): Promise<unknown> {
  const text = await response.text()
  if (!response.ok) throw failure(name, response, text)
  if (operation.response === null) return undefined
  const result = operation.response.safeParse(operation.media === undefined ? parsed(text) : text)
  if (!result.success) throw new SallyportAnswerError(response.status, name, result.error)
  return result.data
}

function failure(name: string, response: Response, text: string): Error {
  const problem = problemSchema.safeParse(parsed(text))
  return problem.success
    ? new SallyportApiError(problem.data, response.headers)
    : new SallyportAnswerError(response.status, name, problem.error)
}

/** Undefined for what is no JSON: no schema of the contract takes it. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
