import { describe, expect, it } from 'vitest'
import { checkedOrigins } from './return-origins.ts'

describe('return origins', () => {
  it('are kept as they are spelt, once each', () => {
    const origins = ['https://app.test', 'https://app.test:8443', 'https://app.test', 'https://xn--bcher-kva.test']
    expect(checkedOrigins(origins, false)).toEqual([origins[0], origins[1], origins[3]])
  })

  it('may be plain http on loopback in development, and nowhere else', () => {
    const loopback = ['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:8080']
    expect(checkedOrigins(loopback, true)).toEqual(loopback)
    for (const origin of loopback)
      expect(() => checkedOrigins([origin], false)).toThrow(expect.objectContaining({ code: 'validation_failed' }))
    for (const origin of ['http://app.test', 'http://localhost.evil.test', 'http://127.0.0.2']) {
      expect(() => checkedOrigins([origin], true), origin).toThrow(expect.objectContaining({ code: 'validation_failed' }))
    }
  })

  it.each([
    '',
    'app.test',
    '//app.test',
    '\\\\app.test',
    'null',
    '*',
    'https://*.app.test/',
    'https://app.test/',
    'https://app.test/path',
    'https://app.test?x',
    'https://app.test#x',
    'https://user@app.test',
    'https://App.test',
    'HTTPS://app.test',
    'https://app.test:443',
    ' https://app.test',
    'https://app.test\n',
    'https://bücher.test',
    'javascript:alert(1)',
    'data:text/html,x',
    'ftp://app.test',
    'https:app.test',
    'https://0x7f.1',
  ])('O-19 refuse the spelling %j, and say which it was', (origin) => {
    expect(() => checkedOrigins(['https://good.test', origin], true)).toThrow(
      expect.objectContaining({ faults: [expect.objectContaining({ pointer: '/body/return_origins/1' })] }),
    )
  })
})
