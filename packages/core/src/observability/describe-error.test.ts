import { describe, expect, it } from 'vitest'
import { SallyportError } from '../kernel/index.ts'
import { describeError } from './describe-error.ts'

describe('describeError', () => {
  it('tells name, code, message and frames of our own errors', () => {
    class LeaseError extends SallyportError<'lease_lost'> {
      override readonly name = 'LeaseError'
    }
    const told = describeError(new LeaseError('lease_lost', 'the lease\nwas lost', { publicDetail: 'Try again.' }))
    expect(told).toMatchObject({ name: 'LeaseError', code: 'lease_lost', message: 'the lease\nwas lost' })
    expect(told.stack?.length).toBeGreaterThan(0)
    expect(told.stack?.every((frame) => /^at .*:\d+:\d+\)?$/.test(frame))).toBe(true)
  })

  it('tells code, errno and syscall of system errors, and no message', () => {
    const error = Object.assign(new Error('connect ECONNREFUSED 10.0.0.1:5432'), {
      code: 'ECONNREFUSED',
      errno: -111,
      syscall: 'connect',
      address: '10.0.0.1',
    })
    const { stack, ...told } = describeError(error)
    expect(told).toEqual({ name: 'Error', code: 'ECONNREFUSED', errno: -111, syscall: 'connect' })
    expect(stack?.join()).not.toContain('10.0.0.1')
  })

  it.each([
    'ERR_JWT_EXPIRED',
    'CERT_HAS_EXPIRED',
    'UND_ERR_HEADERS_TIMEOUT',
    'FST_ERR_CTP_BODY_TOO_LARGE',
    '23505',
    '42P01',
    'EPIPE',
    404,
    -1,
  ])('keeps the machine code %j', (code) => {
    expect(describeError(Object.assign(new Error('m'), { code })).code).toBe(code)
  })

  it.each([
    'invalid grant',
    'abc123def',
    'eyJhbGciOi',
    '4/0AX4XfWh',
    'AKIAQXZJKVWQXZJKVWQX',
    'QXZJK',
    '123456',
    123456,
    `E${'Q'.repeat(20)}`,
    '',
    {},
    null,
  ])('drops %j where a code should be', (code) => {
    expect(describeError(Object.assign(new Error('m'), { code }))).not.toHaveProperty('code')
  })

  it('names a subclass by its class, and an abort by its own name', () => {
    class PoolError extends Error {}
    expect(describeError(new PoolError('m')).name).toBe('PoolError')
    expect(describeError(new DOMException('m', 'AbortError')).name).toBe('AbortError')
    expect(describeError(Object.assign(new Error('m'), { name: 'QueryError' })).name).toBe('QueryError')
  })

  it('says of things thrown that are no errors only what they are', () => {
    const seen = ['text', 7, null, undefined, Symbol('s'), { message: 'm' }, [1], () => 1].map((thrown) => describeError(thrown))
    expect(seen.map(({ name }) => name)).toEqual([
      '[string]',
      '[number]',
      '[null]',
      '[undefined]',
      '[symbol]',
      '[Object]',
      '[Array]',
      '[function]',
    ])
    expect(seen.every((told) => Object.keys(told).length === 1)).toBe(true)
  })

  it('follows causes to a depth, in a circle too', () => {
    const error = new Error('m')
    error.cause = error
    let depth = 0
    for (let told = describeError(error); told.cause !== undefined; told = told.cause) depth++
    expect(depth).toBe(3)
  })

  it('tells of at most five gathered errors', () => {
    const { errors } = describeError(new AggregateError(Array.from({ length: 9 }, (_, i) => new SallyportError('x', `failure ${i}`))))
    expect(errors?.map(({ message }) => message)).toEqual(['failure 0', 'failure 1', 'failure 2', 'failure 3', 'failure 4'])
  })

  // The risk: a body with line breaks in a message, made to look like frames, walks through as part of the stack.
  it('takes no frame out of a message', () => {
    const fake = 'body:\n    at planted (/planted/file.js:1:1)\n    at /planted/other.js:2:2'
    class ErrorOfALibraryWithAVeryLongNameSoThatTheHeaderIsLongerThanTheFakeFrame extends Error {}
    const changed = (message: string): Error => {
      const error = new Error(fake)
      // V8 writes the stack when it is first read, and doesn't follow the message after that.
      expect(error.stack).toContain('planted')
      return Object.assign(error, { message })
    }
    const long = new ErrorOfALibraryWithAVeryLongNameSoThatTheHeaderIsLongerThanTheFakeFrame(fake)
    long.name = long.constructor.name
    for (const error of [new Error(fake), new SyntaxError(fake), long, changed(''), changed('short'), changed('two\nlines')]) {
      expect(JSON.stringify(describeError(error))).not.toContain('planted')
    }
    expect(describeError(new Error('')).stack?.length).toBeGreaterThan(0)
    expect(describeError(new Error('two\nlines')).stack?.length).toBeGreaterThan(0)
  })

  it('cuts a long message of ours and a deep stack', () => {
    const nested = (left: number): SallyportError => (left === 0 ? new SallyportError('x', 'm'.repeat(1_000_000)) : nested(left - 1))
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 100
    try {
      const told = describeError(nested(60))
      expect([told.message?.length, told.stack?.length]).toEqual([2048, 20])
    } finally {
      Error.stackTraceLimit = limit
    }
  })
})
