// Misuse is what is tested here, so the rules against it are off in this file.
/* oxlint-disable typescript/restrict-template-expressions, typescript/no-misused-spread */
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from './secret.ts'

const canary = `canary-${crypto.randomUUID()}`

describe('Secret', () => {
  const secret = new Secret(canary)

  // The risk: one forgotten template literal or JSON.stringify puts a customer's token into a log.
  it.each([
    ['String()', () => String(secret)],
    ['template literal', () => `${secret}`],
    ['concatenation', () => '' + secret],
    ['JSON.stringify', () => JSON.stringify({ secret })],
    ['inspect', () => inspect({ secret }, { showHidden: true, depth: 9 })],
    ['inspect without the custom hook', () => inspect({ secret }, { customInspect: false, showHidden: true, depth: 9 })],
    ['spread', () => JSON.stringify({ ...secret })],
    ['Object.assign', () => JSON.stringify(Object.assign({}, secret))],
    ['entries', () => JSON.stringify(Object.entries(secret))],
    ['structuredClone', () => inspect(structuredClone({ ...secret }))],
    ['own keys', () => Reflect.ownKeys(secret).map(String).join()],
    ['error message', () => inspect(new Error(`failed with ${secret}`, { cause: secret }))],
  ])('N15 gives nothing away through %s', (_name, print) => {
    expect(print()).not.toContain(canary)
  })

  it('gives its value to reveal() alone', () => {
    expect(secret.reveal()).toBe(canary)
  })

  it('tells an empty value apart without revealing it', () => {
    expect([new Secret('').isEmpty(), secret.isEmpty()]).toEqual([true, false])
  })
})
