import { describe, expect, it } from 'vitest'
import { endpointFault, hostFault, isLoopback, originFault, rangeFault } from './network-text.ts'

describe('rangeFault', () => {
  it.each([
    '10.0.0.0/12',
    '1.2.3.4/32',
    '1.2.3.4',
    '203.0.113.0/25',
    '128.0.0.0/1',
    '2001:db8::/32',
    '::1',
    '2001:DB8:0::/48',
    'fe80::/10',
    '::ffff:203.0.113.9',
  ])('R-03 takes %s', (text) => expect(rangeFault(text)).toBeUndefined())

  // The risk: a proxy list that trusts more than its author meant lets a client write its own address.
  it.each([
    '',
    ' 10.0.0.0/8',
    '10.0.0.0/8 ',
    '10.0.0.0 /8',
    '10.0.0.0/',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '10.0.0.0/0',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.1/8',
    '203.0.113.1/31',
    '2001:db8::1/32',
    '2001:db8::/129',
    'fe80::1%eth0',
    'fe80::%eth0/10',
    '010.0.0.0/8',
    '10.0/8',
    '0x0a000000/8',
    'localhost',
    '*',
  ])('R-03 refuses %j', (text) => expect(rangeFault(text)).toBeTypeOf('string'))
})

describe('originFault', () => {
  it.each(['https://gateway.example.com', 'http://127.0.0.1:7255', 'https://[2001:db8::1]:8443', 'http://localhost'])(
    'takes %s',
    (text) => {
      expect(originFault(text)).toBeUndefined()
    },
  )

  it.each([
    '',
    'gateway.example.com',
    'https://',
    'https://Gateway.example.com',
    'https://gateway.example.com/',
    'https://gateway.example.com/x',
    'https://gateway.example.com:443',
    'https://user@gateway.example.com',
    'https://gateway.example.com?x',
    'https://gateway.example.com#x',
    'ftp://gateway.example.com',
    'javascript:alert(1)',
    'http://0x7f.1',
    ' https://gateway.example.com',
    'https://gateway.example.com\n',
    'null',
  ])('refuses %j', (text) => expect(originFault(text)).toBeTypeOf('string'))
})

describe('endpointFault', () => {
  it.each([
    'https://api.example.com',
    'https://api.example.com/v3/',
    'https://api.example.com/login/oauth/authorize?x=1',
    'http://127.0.0.1:7256/user',
  ])('takes %s', (text) => {
    expect(endpointFault(text)).toBeUndefined()
  })

  it.each([
    '',
    '/user',
    'https://u:p@api.example.com',
    'https://api.example.com/#x',
    'https://api.example.com/#',
    'file:///etc/passwd',
    'gopher://x',
  ])('X-03 refuses %j', (text) => {
    expect(endpointFault(text)).toBeTypeOf('string')
  })
})

describe('hostFault', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::', '::1', 'localhost', 'gateway-1.internal'])('takes %s', (text) =>
    expect(hostFault(text)).toBeUndefined(),
  )
  it.each(['', '127.1', '256.0.0.1', 'a b', 'http://x', '-a', 'a_b', '[::1]', '127.0.0.1:80'])('refuses %j', (text) =>
    expect(hostFault(text)).toBeTypeOf('string'),
  )
})

describe('isLoopback', () => {
  it('knows this machine by its names, and nothing that merely looks like one', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost'].every(isLoopback)).toBe(true)
    expect(['127.0.0.1.example.com', 'localhost.example.com', '10.0.0.1', '0.0.0.0', '::', ''].some(isLoopback)).toBe(false)
  })
})
