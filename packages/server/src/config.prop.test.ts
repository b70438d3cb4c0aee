import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConfigError, configReference, loadConfig } from './config.ts'
import { rangeFault } from './config/network-text.ts'

const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`config.prop seed ${seed}`)

const variables = [...configReference().matchAll(/`(SALLYPORT_\w+)`/g)].map(([, name]) => name!)
const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.json({ maxDepth: 2 }),
  fc.constantFrom(
    'development',
    'production',
    '7255',
    'https://x.example.com',
    '10.0.0.0/8',
    '${HOME}',
    '${',
    '$${X}',
    'postgres://u@h/d',
    '__proto__',
  ),
)

function missing(): never {
  throw Object.assign(new Error('ENOENT'), { code: 'ENOENT' })
}

/** Starts, or refuses with its reasons: nothing else ever happens. */
function settles(load: () => unknown): boolean {
  try {
    load()
    return true
  } catch (error) {
    return error instanceof ConfigError && error.faults.length > 0 && error.faults.every(({ reason }) => reason !== '')
  }
}

describe('loadConfig', () => {
  it('C-01 either starts or says why not, for any variables', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...variables), word, { maxKeys: 6 }), (env) =>
        settles(() => loadConfig({ env, readFile: missing })),
      ),
      { seed, numRuns: 500 },
    )
  })

  it('C-01 either starts or says why not, for any file', () => {
    const names = fc.constantFrom(
      'port',
      'egress',
      'limits',
      'providers',
      'databaseUrl',
      'databaseUrlFile',
      'trustedProxies',
      'other',
      '__proto__',
    )
    const value = fc.oneof(
      word,
      fc.integer(),
      fc.constant(null),
      fc.array(word, { maxLength: 3 }),
      fc.dictionary(names, word, { maxKeys: 3 }),
    )
    const yaml = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 200 }),
      fc
        .array(fc.tuple(names, value), { maxLength: 5 })
        .map((pairs) => pairs.map(([name, held]) => `${name}: ${JSON.stringify(held)}`).join('\n')),
    )
    fc.assert(
      fc.property(yaml, (text) => settles(() => loadConfig({ env: { SALLYPORT_MODE: 'development' }, readFile: () => text }))),
      { seed, numRuns: 500 },
    )
  })
})

describe('rangeFault', () => {
  // The judge is Node's own list, which ignores host bits: a range is taken exactly when it begins with the address that is written.
  it.each(['ipv4', 'ipv6'] as const)('R-03 takes an %s range exactly when nothing of it lies before the written address', (family) => {
    const width = family === 'ipv4' ? 32 : 128
    const largest = (1n << BigInt(width)) - 1n
    fc.assert(
      fc.property(fc.bigInt(1n, largest), fc.integer({ min: 1, max: width }), fc.boolean(), (any, bits, masked) => {
        const hostBits = BigInt(width - bits)
        const value = masked ? (any >> hostBits) << hostBits : any
        fc.pre(value > 0n)
        const list = new BlockList()
        list.addSubnet(written(value, family), bits, family)
        expect(list.check(written(value, family), family)).toBe(true)
        const beginsHere = !list.check(written(value - 1n, family), family)
        expect(rangeFault(`${written(value, family)}/${bits}`) === undefined).toBe(beginsHere)
      }),
      { seed, numRuns: 500 },
    )
  })
})

function written(value: bigint, family: 'ipv4' | 'ipv6'): string {
  const [parts, size, radix] = family === 'ipv4' ? [4, 8n, 10] : [8, 16n, 16]
  const part = (index: number) => ((value >> (size * BigInt(parts - 1 - index))) & ((1n << size) - 1n)).toString(radix)
  return Array.from({ length: parts }, (_, index) => part(index)).join(family === 'ipv4' ? '.' : ':')
}
