import { describe, expect, it } from 'vitest'
import { ConnectError } from './errors.ts'
import { judgeReturnTo, returnAddress } from './return-to.ts'

const origins = ['https://app.test', 'http://127.0.0.1:3000']

describe('a return address', () => {
  it.each(['https://app.test', 'https://app.test/', 'https://app.test/a/b?c=d%20e', 'https://app.test?x=1', 'http://127.0.0.1:3000/x'])(
    'O-19 %s is taken as it is',
    (address) => {
      expect(judgeReturnTo(address, origins)).toBe(address)
    },
  )

  it.each([
    '//evil.test',
    '/\\evil.test',
    '\\\\evil.test',
    '\\evil.test',
    '/relative',
    '',
    'javascript:alert(1)',
    'JavaScript:alert(1)//https://app.test/',
    'data:text/html,x',
    'https://evil.test/',
    'https://app.test.evil.test/',
    'https://evil.test/https://app.test/',
    'https://app.test@evil.test/',
    'https://user@app.test/',
    'https://user:pass@app.test/',
    'https://app.test:444/',
    'https://app.test:443/',
    'http://app.test/',
    'https://sub.app.test/',
    'https://app.test./',
    'https:app.test/',
    'https:/app.test/',
    'https:///app.test/',
    'https:\\\\app.test/',
    'https://app.test\\@evil.test/',
    'https://app.test/#fragment',
    'https://app.test/#',
    ' https://app.test/',
    'https://app.test/ ',
    'https://app.test/\n',
    'https://app.test/\r\nset-cookie: a=b',
    'https://app.test/\u0000',
    'https://äpp.test/',
    'https://app.test/ä',
    'https://ａｐｐ.test/',
    'https://0x7f.1:3000/',
    'http://2130706433:3000/',
    'http://127.1:3000/x',
    'http://[::ffff:127.0.0.1]:3000/',
    'blob:https://app.test/x',
    `https://app.test/${'x'.repeat(2048)}`,
  ])('O-19 %j is refused', (address) => {
    expect(() => judgeReturnTo(address, origins)).toThrow(ConnectError)
  })

  it('O-19 is refused when nothing is registered, whatever it is', () => {
    expect(() => judgeReturnTo('https://app.test/', [])).toThrow(ConnectError)
  })

  it('keeps its own query, and not a code that it brought itself', () => {
    expect(returnAddress('https://app.test/x?a=1&connect_code=planted', { connect_code: 'ours', connect_session: 'cs_1' })).toBe(
      'https://app.test/x?a=1&connect_code=ours&connect_session=cs_1',
    )
  })
})
