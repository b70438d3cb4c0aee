/** Owns what the sandbox's model vendors have in common: a call as they see it, and an answer as the server sends it. Knows no vendor. */
import type { IncomingMessage } from 'node:http'
import { isObject } from './shapes.ts'
import type { Fault } from './shapes.ts'
import type { Part } from './multipart.ts'
import type { Tool } from './mind.ts'

export type Body =
  | { readonly kind: 'json'; readonly value: unknown; readonly text: string }
  | { readonly kind: 'parts'; readonly parts: readonly Part[] }
  | { readonly kind: 'bytes'; readonly bytes: number; readonly sha256: string }
  /** `raw`: as it came, of what was declared as JSON. */
  | { readonly kind: 'broken'; readonly raw?: Buffer }
  | { readonly kind: 'too large' }

export interface Call {
  readonly method: string
  /** Below the vendor's base, as in `/v1/chat/completions`; escapes as they came. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  /** As it arrived, for whoever judges its bytes. */
  readonly url: string
  readonly body: Body
  /** The vendor's base as the caller reached it. */
  readonly base: string
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Sent one after the other, with the server's pause between them. */
  readonly pieces?: readonly (string | Uint8Array)[]
}

/** Why a call is not answered; each vendor has words of its own for it. */
export type Refusal =
  | { readonly why: 'no key' | 'wrong key' | 'not found' | 'not json' | 'too large' }
  | { readonly why: 'no model'; readonly model: string }
  | { readonly why: 'fault'; readonly fault: Fault }

export interface Models {
  readonly chat: readonly string[]
  readonly embedding: readonly string[]
  readonly audio: readonly string[]
}

export interface Vendor {
  /** Why `key` does not open this call; undefined when it does. */
  keyFault(call: Call, key: string): 'no key' | 'wrong key' | undefined
  /** Gives the answer of a caller who may ask. */
  answer(call: Call, models: Models): Answer | Refusal
  refuse(refusal: Refusal): Answer
}

export function isRefusal(answer: Answer | Refusal): answer is Refusal {
  return 'why' in answer
}

export function json(status: number, body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }
}

export function eventStream(events: readonly string[]): Answer {
  return { status: 200, headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' }, pieces: events }
}

/** One event of a stream; `name` where the vendor names its events. */
export function event(data: unknown, name?: string): string {
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return `${name === undefined ? '' : `event: ${name}\n`}data: ${text}\n\n`
}

/** The fields of a body that has been held against its shape. */
export type Fields = Readonly<Record<string, unknown>>

export function recordOf(value: unknown): Fields {
  return isObject(value) ? value : {}
}

export function listIn(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(recordOf) : []
}

export function header(call: Call, name: string): string | undefined {
  const value = call.headers[name]
  return Array.isArray(value) ? value[0] : value
}

export function bearer(call: Call): string | undefined {
  return /^bearer (?<key>\S+)$/iu.exec(header(call, 'authorization') ?? '')?.groups?.['key']
}

export function toolOf(name: unknown, parameters: unknown): Tool {
  return { name: String(name), parameters }
}

/** The media type in a `data:` URL; of any other URL, the URL. */
export function mediaOf(url: unknown): string {
  const text = String(url)
  return /^data:(?<type>[\w.+/-]+)[;,]/u.exec(text)?.groups?.['type'] ?? text
}

let made = 0
/** Told apart within this process, and nothing more. */
export function nextId(prefix: string): string {
  made += 1
  return `${prefix}sandbox${String(made).padStart(8, '0')}`
}

export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000)
}

/** Of a vendor whose keys are sent as they are. */
export function sentKeyFault(shown: string | undefined, key: string): 'no key' | 'wrong key' | undefined {
  if (shown === undefined) return 'no key'
  return shown === key ? undefined : 'wrong key'
}
