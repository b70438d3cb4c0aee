/**
 * Owns what a vendor takes as the body of a request: every field has its form, and a field that nobody knows is a fault, as it is at the vendors.
 * Refuses to repair: the first fault is what the caller is told.
 */

export interface Fault {
  readonly kind: 'missing' | 'unknown' | 'wrong'
  /** As in `messages.0.content`. Empty: the body itself. */
  readonly at: string
  readonly wanted: string
}

/** Gives the first fault of `value`, or nothing. */
export type Shape = (value: unknown, at: string) => Fault | undefined

type Fields = Readonly<Record<string, Shape>>

const wrong = (at: string, wanted: string): Fault => ({ kind: 'wrong', at, wanted })
const below = (at: string, name: string | number): string => (at === '' ? String(name) : `${at}.${name}`)

export const anything: Shape = () => undefined
export const text: Shape = (value, at) => (typeof value === 'string' ? undefined : wrong(at, 'a string'))
export const flag: Shape = (value, at) => (typeof value === 'boolean' ? undefined : wrong(at, 'a boolean'))
export const object: Shape = (value, at) => (isObject(value) ? undefined : wrong(at, 'an object'))

export function number(least: number, most = Number.MAX_SAFE_INTEGER): Shape {
  return (value, at) =>
    typeof value === 'number' && value >= least && value <= most ? undefined : wrong(at, `a number from ${least} to ${most}`)
}

export function oneOf(...values: readonly string[]): Shape {
  return (value, at) => (values.includes(value as string) ? undefined : wrong(at, `one of ${values.join(', ')}`))
}

export function listOf(shape: Shape, least = 0): Shape {
  return (value, at) => {
    if (!Array.isArray(value) || value.length < least) return wrong(at, least > 0 ? 'a list that is not empty' : 'a list')
    return first(value.map((item, index) => () => shape(item, below(at, index))))
  }
}

/** The first of the shapes that fits; when none does, the last one's fault. */
export function either(...shapes: readonly Shape[]): Shape {
  return (value, at) => {
    let fault: Fault | undefined
    for (const shape of shapes) {
      fault = shape(value, at)
      if (fault === undefined) return undefined
    }
    return fault
  }
}

/** An object of `required` and `optional` fields, null standing for an optional one that is absent, and of no others. */
export function fields(required: Fields, optional: Fields = {}): Shape {
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object')
    const missing = Object.keys(required).find((name) => value[name] === undefined)
    if (missing !== undefined) return { kind: 'missing', at: below(at, missing), wanted: 'a value' }
    const unknown = Object.keys(value).find((name) => !Object.hasOwn(required, name) && !Object.hasOwn(optional, name))
    if (unknown !== undefined) return { kind: 'unknown', at: below(at, unknown), wanted: 'nothing' }
    return first([
      ...Object.entries(required).map(
        ([name, shape]) =>
          () =>
            shape(value[name], below(at, name)),
      ),
      ...Object.entries(optional).map(([name, shape]) => () => {
        const field = value[name]
        return field === undefined || field === null ? undefined : shape(field, below(at, name))
      }),
    ])
  }
}

/** The field `by` says which of the shapes it is. */
export function variants(by: string, shapes: Fields): Shape {
  return (value, at) => {
    if (!isObject(value)) return wrong(at, 'an object')
    const which = value[by]
    if (typeof which !== 'string' || !Object.hasOwn(shapes, which)) return wrong(below(at, by), `one of ${Object.keys(shapes).join(', ')}`)
    return shapes[which]!(value, at)
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function first(checks: readonly (() => Fault | undefined)[]): Fault | undefined {
  for (const check of checks) {
    const fault = check()
    if (fault !== undefined) return fault
  }
  return undefined
}
