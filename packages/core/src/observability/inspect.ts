/** Owns looking at foreign objects without running their code. Refuses getters, proxies and methods of the value. */
import { types } from 'node:util'

const TYPE_NAME = /^[A-Za-z_$][\w$]{0,63}$/
const MAX_CHAIN = 16

/** The value of a data property, own or inherited. An accessor, and anything behind a proxy, counts as absent. */
export function dataProperty(object: object, name: string): unknown {
  let holder: object | null = object
  for (let i = 0; i < MAX_CHAIN && holder !== null && !types.isProxy(holder); i++) {
    const descriptor = Object.getOwnPropertyDescriptor(holder, name)
    if (descriptor !== undefined) return descriptor.value
    holder = Object.getPrototypeOf(holder) as object | null
  }
  return undefined
}

/** The kind of a value in brackets: `[string]`, `[Map]`, `[Socket]`. Says nothing of what it holds. */
export function typeName(value: unknown): string {
  if (types.isProxy(value)) return '[proxy]'
  if (value === null) return '[null]'
  if (typeof value !== 'object') return `[${typeof value}]`
  const constructor = dataProperty(value, 'constructor')
  const name = typeof constructor === 'function' ? dataProperty(constructor, 'name') : undefined
  return typeof name === 'string' && TYPE_NAME.test(name) ? `[${name}]` : '[object]'
}
