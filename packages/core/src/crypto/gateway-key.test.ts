import { randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { crc32 } from 'node:zlib'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { base62Encode, formatId, newId } from '../kernel/index.ts'
import { GATEWAY_KEY_PATTERN, mintGatewayKey, parseGatewayKey } from './gateway-key.ts'

const keyId = newId('key')
const { text, secret } = mintGatewayKey('live', keyId)
const valid = text.reveal()

/** A key text with a true checksum over any body: what an attacker can make without knowing anything. */
function withChecksum(body: string): string {
  return `${body}_${base62Encode(BigInt(crc32(body)), 6)}`
}

describe('gateway key', () => {
  it('reads back what it mints, in both environments', () => {
    for (const environment of ['live', 'test'] as const) {
      const id = newId('key')
      const minted = mintGatewayKey(environment, id)
      const parts = parseGatewayKey(minted.text.reveal())
      expect([parts?.environment, parts?.keyId, parts?.secret.reveal()]).toEqual([environment, id, minted.secret.reveal()])
    }
  })

  it('carries the digits of its public id and 256 random bits', () => {
    const fields = valid.split('_')
    expect(fields.slice(0, 3)).toEqual(['sp', 'live', formatId('key', keyId).slice(4)])
    expect([fields[3], fields[3]?.length, valid.length]).toEqual([secret.reveal(), 43, 81])
    expect(mintGatewayKey('live', keyId).secret.reveal()).not.toBe(secret.reveal())
  })

  it('gives nothing away when printed', () => {
    expect(inspect([text, secret, parseGatewayKey(valid)], { depth: 9, showHidden: true })).not.toContain(secret.reveal())
  })

  it.each<[string, string]>([
    ['a trailing newline', `${valid}\n`],
    ['a newline in place of the last character', `${valid.slice(0, -1)}\n`],
    ['a leading space', ` ${valid}`],
    ['a NUL at the end', `${valid}\u0000`],
    ['a NUL inside', `${valid.slice(0, 40)}\u0000${valid.slice(41)}`],
    ['a Cyrillic homoglyph in the prefix', valid.replace('sp', 'sр')],
    ['a full-width digit', `${valid.slice(0, 30)}\uff11${valid.slice(31)}`],
    ['a combining mark', `${valid.slice(0, -1)}\u0301`],
    ['capitals in the prefix', valid.replace('sp_live', 'SP_LIVE')],
    ['another environment with the old checksum', valid.replace('live', 'test')],
    ['an unknown environment', withChecksum(`sp_prod_${valid.slice(8, 74)}`)],
    ['one character more', `${valid}0`],
    ['one character less', valid.slice(0, -1)],
    ['nothing', ''],
    ['a megabyte', 'sp_live_'.padEnd(1_000_000, 'a')],
    ['a megabyte behind a true key', valid.padEnd(1_000_000, 'a')],
    ['an id above 128 bits', withChecksum(`sp_live_${'z'.repeat(22)}_${secret.reveal()}`)],
    ['an underscore moved', withChecksum(`sp_live_${valid.slice(8, 29)}_${valid.slice(29, 30)}${secret.reveal()}`)],
  ])('K-10 refuses %s', (_name, spelling) => {
    expect(parseGatewayKey(spelling)).toBeUndefined()
  })

  it('K-10 refuses every single wrong character and every swap of neighbours', () => {
    for (let at = 0; at < valid.length; at++) {
      for (const digit of 'Aa0z_-') {
        if (digit !== valid[at]) expect(parseGatewayKey(valid.slice(0, at) + digit + valid.slice(at + 1))).toBeUndefined()
      }
      const [one, two] = [valid[at]!, valid[at + 1] ?? valid[at]!]
      if (one !== two) expect(parseGatewayKey(valid.slice(0, at) + two + one + valid.slice(at + 2))).toBeUndefined()
    }
  })

  it('takes no text but the one spelling', () => {
    const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
    console.info(`gateway-key seed ${seed}`)
    const digits = (length: number) => fc.stringMatching(new RegExp(`^[0-9A-Za-z]{${length}}$`))
    fc.assert(
      fc.property(digits(22), digits(43), (id, tail) => {
        const spelled = withChecksum(`sp_test_${id}_${tail}`)
        const parts = parseGatewayKey(spelled)
        if (parts !== undefined) expect(formatId('key', parts.keyId)).toBe(`key_${id}`)
      }),
      { seed },
    )
  })
})

describe('GATEWAY_KEY_PATTERN', () => {
  it('K-15 finds each of 10,000 keys wherever people paste them', () => {
    const around = [
      (k: string) => k,
      (k: string) => `Bearer ${k}`,
      (k: string) => JSON.stringify({ k }),
      (k: string) => `KEY=${k}\n`,
      (k: string) => `https://x/?k=${k}&y=1`,
      (k: string) => `-H 'Authorization: Bearer ${k}'`,
      (k: string) => `${k},${k}`,
    ]
    for (let i = 0; i < 10_000; i++) {
      const key = mintGatewayKey(i % 2 === 0 ? 'live' : 'test', newId('key')).text.reveal()
      expect(GATEWAY_KEY_PATTERN.exec(around[i % around.length]!(key))?.[0]).toBe(key)
      expect(parseGatewayKey(key)).toBeDefined()
    }
  })

  // In pages of many lines: the rule crosses no line, so a page without a hit is as many texts without one.
  it('K-15 finds none in 10,000,000 random texts, among them some that begin like a key', { timeout: 300_000 }, () => {
    const LINES = 10_000
    const WIDTH = 88
    let texts = 0
    for (let page = 0; page < 1_000; page++) {
      // Letters, digits, `_` and `-`, of which keys are made and none.
      const text = Buffer.from(randomBytes(LINES * WIDTH * 0.75).toString('base64url'), 'latin1')
      for (let n = 0; n < LINES; n++) {
        text[(n + 1) * WIDTH - 1] = 0x0a
        if (n % 10 === 0) text.write('sp_live_', n * WIDTH, 'latin1')
        texts += 1
      }
      const hit = GATEWAY_KEY_PATTERN.exec(text.toString('latin1'))?.[0]
      // What the shape alone would take by chance, its checksum does not.
      if (hit !== undefined) expect(parseGatewayKey(hit)).toBeUndefined()
    }
    expect(texts).toBe(10_000_000)
  })

  it('K-15 takes no text that fits by its shape alone for a key', () => {
    const digits = (length: number) =>
      randomBytes(length * 2)
        .toString('base64')
        .replaceAll(/[+/=]/gu, '')
        .slice(0, length)
    const near = [
      () => `x${valid.slice(0, -6)}${digits(6)}`,
      () => `sk_live_${valid.slice(8)}`,
      () => `sp_prod_${valid.slice(8)}`,
      () => valid.slice(0, -1),
      () => `${valid}x`,
      () => valid.replaceAll('_', '-'),
    ]
    for (let i = 0; i < 100_000; i++) expect(GATEWAY_KEY_PATTERN.test(near[i % near.length]!())).toBe(false)
    const shaped = Array.from({ length: 10_000 }, () => `sp_live_${digits(22)}_${digits(43)}_${digits(6)}`)
    expect(shaped.every((text) => GATEWAY_KEY_PATTERN.test(text))).toBe(true)
    expect(shaped.filter((text) => parseGatewayKey(text) !== undefined)).toEqual([])
  })

  // A /g pattern remembers where it stopped and misses every second key.
  it('L-01 keeps no state between tests', () => {
    expect(GATEWAY_KEY_PATTERN.flags).toBe('')
    expect(Array.from({ length: 10 }, () => GATEWAY_KEY_PATTERN.test(valid))).not.toContain(false)
  })
})
