import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ManualClock, SallyportError, Secret } from '../kernel/index.ts'
import { createLogger } from './logger.ts'
import type { LogFields, LoggerOptions, LogLevel } from './logger.ts'

/** Letters that ordinary records hardly hold in a row, so that even five of them together are a leak. */
const canary = Array.from(randomBytes(40), (byte) => 'QXZJKVW'[byte % 7]).join('')
const pieces = Array.from({ length: canary.length - 4 }, (_, i) => canary.slice(i, i + 5))

function record(use: (log: ReturnType<typeof createLogger>) => void, options: Partial<LoggerOptions> = {}): string[] {
  const lines: string[] = []
  use(createLogger({ level: 'debug', format: 'json', clock: new ManualClock(), write: (line) => lines.push(line), ...options }))
  return lines
}

function logged(fields: LogFields): Record<string, unknown> {
  return JSON.parse(record((log) => log.info('m', fields))[0]!) as Record<string, unknown>
}

class Session {
  token = canary
  toJSON(): string {
    return canary
  }
  toString(): string {
    return canary
  }
  [inspect.custom](): string {
    return canary
  }
}

function foreignError(): Error {
  const error = new TypeError(`fetch failed: https://api.example/?token=${canary}\n    at ${canary} (/app/${canary}.js:1:1)`, {
    cause: Object.assign(new Error(`header authorization: ${canary}`), {
      code: 'ECONNRESET',
      config: { headers: { authorization: canary } },
    }),
  })
  return Object.assign(error, { request: { body: canary }, response: canary, code: canary, syscall: canary })
}

/** Every shape in which a secret is likely to reach the logger. */
const carriers: readonly [string, () => unknown][] = [
  ['a Secret', () => new Secret(canary)],
  ['a token set', () => ({ access_token: new Secret(canary), refresh_token: new Secret(canary), expires_in: 3600 })],
  ['a Secret deep inside', () => ({ a: [{ b: { c: new Secret(canary) } }] })],
  ['a Secret as a cause', () => new SallyportError('x', 'failed', { cause: new Secret(canary) })],
  ['a string as a cause', () => new SallyportError('x', 'failed', { cause: `body: ${canary}` })],
  ['bytes', () => [Buffer.from(canary), new TextEncoder().encode(canary), Uint8Array.from(Buffer.from(canary)).buffer]],
  ['headers', () => new Headers({ authorization: `Bearer ${canary}` })],
  ['a request', () => new Request(`https://api.example/?code=${canary}`, { headers: { cookie: canary } })],
  ['a response', () => new Response(canary, { headers: { 'set-cookie': canary } })],
  ['a URL', () => [new URL(`https://u:${canary}@api.example/?state=${canary}`), new URLSearchParams({ code: canary })]],
  ['a Map and a Set', () => [new Map([[canary, canary]]), new Set([canary])]],
  ['a class instance with every printing hook', () => new Session()],
  ['an emitter that carries one', () => Object.assign(new EventEmitter(), { authorization: canary })],
  ['a foreign error', () => foreignError()],
  ['a foreign error as the cause of ours', () => new SallyportError('x', 'failed', { cause: foreignError() })],
  ['gathered foreign errors', () => new AggregateError([foreignError(), canary], canary)],
  ['an error whose name was set', () => Object.assign(new Error('m'), { name: `token ${canary}` })],
  ['an error whose message was changed', () => Object.assign(foreignError(), { message: 'short' })],
  ['an error whose stack was replaced', () => Object.assign(new Error('m'), { stack: `Error: ${canary}\n at ${canary}` })],
  ['a JSON parse error that quotes its input', () => thrownBy(() => JSON.parse(`{"t": ${canary}}`))],
  ['an error of our own that carries data', () => Object.assign(new SallyportError('x', 'failed'), { body: canary })],
  [
    'a getter',
    () => ({
      get token() {
        return canary
      },
    }),
  ],
  ['a proxy', () => new Proxy({ token: canary }, {})],
  ['a function and a symbol', () => [Object.assign(() => canary, { token: canary }), Symbol(canary)]],
  ['a promise', () => Promise.resolve(canary)],
  ['a boxed string', () => Object(canary)],
  ['a private key', () => generateKeyPairSync('ed25519').privateKey],
  ['a hash that has seen it', () => createHash('sha256').update(canary)],
  ['a property named by a symbol', () => ({ [Symbol('s')]: canary })],
  ['a hidden property', () => Object.defineProperty({}, 'token', { value: canary, enumerable: false })],
  ['an array with a property', () => Object.assign([1], { token: canary })],
]

function thrownBy(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error
  }
}

describe('redaction by type', () => {
  it.each(carriers)('L-03 lets no five characters of a secret out of %s, at debug level, in both formats', (_name, make) => {
    for (const format of ['json', 'text'] as const) {
      const lines = record(
        (log) => {
          log.debug('m', { value: make() })
          log.error('m', { error: make(), list: [make()], nested: { deep: make() } })
          log.child({ context: make() }).warn('m')
        },
        { format, fields: { base: make() } },
      )
      expect(lines).toHaveLength(3)
      const printed = lines.join('\n')
      expect(pieces.filter((piece) => printed.includes(piece))).toEqual([])
    }
  })

  // HTTP libraries put the whole request into their errors, and a toJSON that prints it.
  it('L-03 logs a failed request of another library without the token that it was sent with', () => {
    const config = { method: 'get', url: `https://api.example/me?access_token=${canary}`, headers: { Authorization: `Bearer ${canary}` } }
    const request = { _header: `GET /me HTTP/1.1\r\nAuthorization: Bearer ${canary}\r\n`, path: `/me?access_token=${canary}` }
    const failed = Object.assign(new Error(`connect ECONNREFUSED ${config.url}`), {
      name: 'RequestError',
      code: 'ECONNREFUSED',
      config,
      request,
      response: undefined,
      toJSON: () => ({ message: 'connect ECONNREFUSED', config }),
    })
    for (const format of ['json', 'text'] as const) {
      const [line] = record((log) => log.error('The provider was not reached', { error: failed, provider: 'x' }), { format })
      expect(line).toContain('The provider was not reached')
      expect(line).toContain('ECONNREFUSED')
      expect(pieces.filter((piece) => line!.includes(piece))).toEqual([])
    }
    expect(config.headers.Authorization).toBe(`Bearer ${canary}`)
  })

  // A pattern with state redacts the first time and lets the second pass.
  it('L-01 redacts one object the same way 1,000 times', () => {
    const value = Object.fromEntries(carriers.map(([name, make]) => [name, make()]))
    const lines = record((log) => {
      for (let i = 0; i < 1000; i++) log.info('m', value)
    })
    expect([lines.length, new Set(lines).size]).toEqual([1000, 1])
    expect(pieces.filter((piece) => lines[0]!.includes(piece))).toEqual([])
  })

  it('L-04 leaves a live token set as it was, frozen or not', () => {
    const bytes = Buffer.from(canary)
    const error = foreignError()
    const tokens = { access: new Secret(canary), bytes, nested: { list: [new Secret(canary)] }, error }
    const before = { message: error.message, stack: error.stack, cause: error.cause }
    record((log) => {
      log.info('m', tokens)
      log.info('m', Object.freeze({ ...tokens, nested: Object.freeze(tokens.nested) }))
    })
    expect(tokens.access.reveal()).toBe(canary)
    expect(tokens.nested.list[0]?.reveal()).toBe(canary)
    expect(bytes.toString()).toBe(canary)
    expect({ message: error.message, stack: error.stack, cause: error.cause }).toEqual(before)
  })

  it('runs no code of what it is given', () => {
    const trap = (): never => {
      throw new Error('was run')
    }
    const hostile = {
      get getter(): unknown {
        return trap()
      },
      set setter(_value: unknown) {
        trap()
      },
      proxy: new Proxy({}, { get: trap, ownKeys: trap, getPrototypeOf: trap, getOwnPropertyDescriptor: trap }),
      list: new Proxy([], { get: trap, ownKeys: trap }),
      named: { toJSON: trap, toString: trap, [Symbol.toPrimitive]: trap, [inspect.custom]: trap },
      instance: Object.create({
        get constructor(): unknown {
          return trap()
        },
      }) as object,
      error: Object.defineProperties(new Error('m'), {
        name: { get: trap },
        code: { get: trap },
        cause: { get: trap },
        stack: { get: trap },
        message: { get: trap },
      }),
      date: Object.assign(new Date(0), { toISOString: trap, getTime: trap, toJSON: trap }),
    }
    const { getter, setter, proxy, list, named, instance, date } = logged(hostile)
    expect({ getter, setter, proxy, list, named, instance, date }).toEqual({
      getter: '[getter]',
      setter: '[getter]',
      proxy: '[proxy]',
      list: '[proxy]',
      named: { toJSON: '[function]', toString: '[function]' },
      instance: '[object]',
      date: '1970-01-01T00:00:00.000Z',
    })
    expect(record((log) => log.info('m', new Proxy({}, { ownKeys: trap })))).toHaveLength(1)
  })

  it('keeps what may be known, each by its type', () => {
    const shared = { n: 1 }
    expect(
      logged({
        text: 'a',
        count: 3,
        big: 2n ** 70n,
        not: Number.NaN,
        yes: true,
        none: null,
        absent: undefined,
        twice: [shared, shared],
        secret: new Secret('x'),
        bytes: Buffer.of(1),
        at: new Date(0),
        never: new Date(Number.NaN),
        map: new Map(),
      }),
    ).toEqual({
      time: '2026-01-01T00:00:00.000Z',
      level: 'info',
      message: 'm',
      text: 'a',
      count: 3,
      big: '1180591620717411303424',
      not: 'NaN',
      yes: true,
      none: null,
      twice: [{ n: 1 }, { n: 1 }],
      secret: '[secret]',
      bytes: '[bytes]',
      at: '1970-01-01T00:00:00.000Z',
      never: '[invalid date]',
      map: '[Map]',
    })
  })

  it('ends cycles, depth, breadth and number with a mark', () => {
    const cycle: Record<string, unknown> = { list: [] }
    cycle['self'] = cycle
    ;(cycle['list'] as unknown[]).push(cycle)
    const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => ({ inner }), 'bottom')
    const wide = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`k${i}`, i]))
    const many = Array.from({ length: 50 }, () => Array.from({ length: 50 }, () => 'x'))
    const values = logged({ cycle, deep, wide, list: Array.from({ length: 1_000_000 }, () => 0), many })
    expect(values['cycle']).toEqual({ list: ['[circular]'], self: '[circular]' })
    expect(JSON.stringify(values['deep'])).toContain('[deep]')
    expect(Object.keys(values['wide'] as object)).toHaveLength(51)
    expect((values['list'] as unknown[]).at(-1)).toBe('[999950 more]')
    expect(JSON.stringify(values['many'])).toContain('[truncated]')
  })
})

describe('one line a record', () => {
  const nasty = [
    'line\nbreak\r\nand more',
    '\u001b[31mred\u001b[0m \u009b2J \u0007\b\u007f',
    '"},"level":"error","message":"forged"}\n{"level":"error"}',
    'x'.repeat(1_000_000),
    '\u2028\u2029\u0085\u000b\u000c',
    '\u202egnp.exe\u2066',
    '\ud800 alone',
    '\u0000',
    '\\u000a \\n %0a ${jndi:ldap://x}',
  ]

  it.each(nasty.map((text, i) => [i, text] as const))('I-12 gives one valid, bounded JSON line for hostile text %i', (_i, text) => {
    const [line, ...more] = record((log) => log.info(text, { text, [text]: text, nested: { [text]: [text] } }))
    expect(more).toEqual([])
    expect(line).toMatch(/^[\u0020-\u007e\u00a0-\u2027\u202f-\u2065\u206a-\ufefe]*$/)
    expect(line!.length).toBeLessThan(20_000)
    const parsed = JSON.parse(line!) as Record<string, unknown>
    expect([parsed['level'], parsed['time']]).toEqual(['info', '2026-01-01T00:00:00.000Z'])
    expect(parsed['text']).toBe(text.length > 2048 ? `${text.slice(0, 2048)}[truncated]` : text)
  })

  it('I-12 stays under 300 KB for 2,500 fields of a megabyte each', () => {
    const megabyte = '\u0000'.repeat(1_000_000)
    const list = Array.from({ length: 50 }, () => megabyte)
    const fields = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`f${i}`, list]))
    expect(record((log) => log.info('m', fields))[0]!.length).toBeLessThan(300_000)
  })

  it.each(nasty)('I-12 gives one printable line in the text format too', (text) => {
    const lines = record((log) => log.info(text, { text, [text]: 1 }), { format: 'text' })
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/^2026-01-01T00:00:00\.000Z INFO {2}[\u0020-\u007e\u00a0-\u2027\u202f-\u2065\u206a-\ufefe]*$/)
  })

  it('does not let a field pose as the time, level or message, nor reach a prototype', () => {
    const line = record((log) =>
      log.info('true', JSON.parse('{"time":"t","level":"error","message":"false","__proto__":{"x":1}}') as LogFields),
    )[0]!
    const parsed = JSON.parse(line) as Record<string, unknown>
    expect([parsed['level'], parsed['message'], parsed['fields.level'], parsed['fields.message'], parsed['fields.time']]).toEqual([
      'info',
      'true',
      'error',
      'false',
      't',
    ])
    expect(line).toContain('"__proto__":{"x":1}')
    expect(({} as Record<string, unknown>)['x']).toBeUndefined()
  })
})

describe('logger', () => {
  it.each<[LogLevel, number]>([
    ['debug', 4],
    ['info', 3],
    ['warn', 2],
    ['error', 1],
    ['silent', 0],
  ])('at level %s writes %i of the four', (level, count) => {
    const lines = record(
      (log) => {
        for (const at of ['debug', 'info', 'warn', 'error'] as const) log[at]('m')
      },
      { level },
    )
    expect(lines).toHaveLength(count)
  })

  it('adds the fields of its makers, the nearest winning, copied when it was made', () => {
    const context = { request: 'r1', note: 'before' }
    const lines = record(
      (log) => {
        const child = log.child(context)
        context.note = 'after'
        child.child({ request: 'r2' }).info('m', { own: 1 })
        log.info('m')
      },
      { fields: { service: 'gateway' } },
    )
    expect(JSON.parse(lines[0]!)).toMatchObject({ service: 'gateway', request: 'r2', note: 'before', own: 1 })
    expect(JSON.parse(lines[1]!)).not.toHaveProperty('request')
  })

  it('takes the time from its clock', () => {
    const clock = new ManualClock()
    const lines = record(
      (log) => {
        clock.advance(1500)
        log.info('m')
      },
      { clock },
    )
    expect(JSON.parse(lines[0]!)).toMatchObject({ time: '2026-01-01T00:00:01.500Z' })
  })
})
