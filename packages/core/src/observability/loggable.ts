/**
 * Owns the change from any value to what may stand in a log: a new, bounded, plain one. Decides by type alone. Refuses to
 * guess by field names, to call into the value (getters, toJSON, toString, proxies), and to change it.
 */
import { isAnyArrayBuffer, isDate, isProxy } from 'node:util/types'
import { Secret } from '../kernel/index.ts'
import { describeError, isError } from './describe-error.ts'
import { typeName } from './inspect.ts'

export type Loggable = string | number | boolean | null | readonly Loggable[] | { readonly [name: string]: Loggable }

/** Characters of one text, before the mark. */
const MAX_TEXT = 2048
const MAX_NAME = 128
/** Elements of one array, names of one object. */
const MAX_BREADTH = 50
const MAX_DEPTH = 5
/** Values and characters of everything in one call together, so that nested bounds don't multiply. */
const MAX_VALUES = 1000
const MAX_CHARACTERS = 32_768

const TRUNCATED = '[truncated]'

/** A loggable copy. Undefined fields are left out. Never throws, never runs code of the value, never changes it. */
export function loggable(fields: object): { readonly [name: string]: Loggable } {
  const walk: Walk = { ancestors: new Set(), values: MAX_VALUES, characters: MAX_CHARACTERS }
  return isProxy(fields) ? { value: '[proxy]' } : objectOf(fields, walk)
}

interface Walk {
  /** The objects around the present one: meeting one of them again is a cycle; meeting any other twice is not. */
  readonly ancestors: Set<object>
  values: number
  characters: number
}

function valueOf(value: unknown, walk: Walk): Loggable {
  if (walk.values-- <= 0) return TRUNCATED
  switch (typeof value) {
    case 'string':
      return textOf(value, walk)
    case 'number':
      return Number.isFinite(value) ? value : String(value)
    case 'boolean':
      return value
    case 'bigint':
      return textOf(value.toString(), walk)
    case 'object':
      return value === null ? null : bounded(value, walk)
    default:
      return typeName(value)
  }
}

function bounded(value: object, walk: Walk): Loggable {
  const leaf = leafOf(value, walk)
  if (leaf !== undefined) return leaf
  if (walk.ancestors.has(value)) return '[circular]'
  if (walk.ancestors.size >= MAX_DEPTH) return '[deep]'
  return Array.isArray(value) ? arrayOf(value, walk) : objectOf(value, walk)
}

/** What stands for an object that isn't walked, or undefined for arrays and plain objects. */
function leafOf(value: object, walk: Walk): Loggable | undefined {
  if (isProxy(value)) return '[proxy]'
  if (value instanceof Secret) return '[secret]'
  if (ArrayBuffer.isView(value) || isAnyArrayBuffer(value)) return '[bytes]'
  if (isError(value)) return within(describeError(value), walk)
  if (isDate(value)) return dateText(value)
  return Array.isArray(value) || isPlain(value) ? undefined : typeName(value)
}

/** A description is plain and ours; walking it bounds its texts with the rest of the record. Its depth is its own. */
function within(description: object, walk: Walk): Loggable {
  const inner: Walk = { ancestors: new Set(), values: walk.values, characters: walk.characters }
  const copy = objectOf(description, inner)
  walk.values = inner.values
  walk.characters = inner.characters
  return copy
}

function arrayOf(array: readonly unknown[], walk: Walk): readonly Loggable[] {
  walk.ancestors.add(array)
  const copy = Array.from({ length: Math.min(array.length, MAX_BREADTH) }, (_, i) => own(array, String(i), walk) ?? null)
  if (array.length > MAX_BREADTH) copy.push(`[${array.length - MAX_BREADTH} more]`)
  walk.ancestors.delete(array)
  return copy
}

function objectOf(object: object, walk: Walk): { readonly [name: string]: Loggable } {
  walk.ancestors.add(object)
  // Without a prototype: a field called `__proto__` is a field.
  const copy = Object.create(null) as Record<string, Loggable>
  const names = Object.keys(object)
  for (const name of names.slice(0, MAX_BREADTH)) {
    const value = own(object, name, walk)
    if (value !== undefined) copy[cut(name, MAX_NAME)] = value
  }
  if (names.length > MAX_BREADTH) copy['...'] = `[${names.length - MAX_BREADTH} more]`
  walk.ancestors.delete(object)
  return copy
}

function own(object: object, name: string, walk: Walk): Loggable | undefined {
  const descriptor = Object.getOwnPropertyDescriptor(object, name)
  if (descriptor === undefined) return undefined
  if (descriptor.get !== undefined || descriptor.set !== undefined) return '[getter]'
  return descriptor.value === undefined ? undefined : valueOf(descriptor.value, walk)
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function dateText(date: Date): string {
  const time = Date.prototype.getTime.call(date)
  return Number.isNaN(time) ? '[invalid date]' : new Date(time).toISOString()
}

function textOf(text: string, walk: Walk): string {
  const kept = cut(text, Math.min(MAX_TEXT, Math.max(0, walk.characters)))
  walk.characters -= kept.length
  return kept
}

function cut(text: string, limit: number): string {
  return text.length <= limit ? text : `${text.slice(0, limit)}${TRUNCATED}`
}
