import { describe, expect, it } from 'vitest'
import { addressBytes, areWithin, isInRanges, parseAddressRange } from './address-range.ts'
import type { AddressRange } from './address-range.ts'

function range(text: string): AddressRange {
  const parsed = parseAddressRange(text)
  if (typeof parsed === 'string') throw new Error(`${text} ${parsed}`)
  return parsed
}

const holds = (text: string, address: string): boolean => isInRanges(addressBytes(address)!, [range(text)])

describe('a range of addresses', () => {
  it.each([
    ['R-01', '10.0.0.0/12', ['10.0.0.0', '10.15.255.255'], ['10.16.0.0', '9.255.255.255']],
    ['R-02', '1.2.3.4/32', ['1.2.3.4'], ['1.2.3.40', '1.2.3.5', '11.2.3.4', '1.2.3.3']],
    ['R-02', '1.2.3.4', ['1.2.3.4'], ['1.2.3.40', '1.2.3.5']],
    ['R-03', '203.0.113.0/25', ['203.0.113.0', '203.0.113.127'], ['203.0.113.128', '203.0.112.255']],
    ['R-03', '203.0.113.126/31', ['203.0.113.126', '203.0.113.127'], ['203.0.113.125', '203.0.113.128']],
    ['R-03', '128.0.0.0/1', ['128.0.0.0', '255.255.255.255'], ['127.255.255.255', '0.0.0.0']],
    ['R-03', '0.0.0.0/0', ['0.0.0.0', '255.255.255.255', '127.0.0.1'], ['::1', '2001:db8::1']],
    ['R-04', '203.0.113.0/24', ['::ffff:203.0.113.9', '::ffff:cb00:7109', '::FFFF:CB00:7109', '0:0:0:0:0:ffff:cb00:7109'], ['::cb00:7109']],
    [
      'R-05',
      '2001:db8::/32',
      ['2001:db8::', '2001:DB8:ffff:ffff:ffff:ffff:ffff:ffff', '2001:0db8:0::1'],
      ['2001:db9::', '2001:db7:ffff::'],
    ],
    ['R-05', '2001:db8::1/128', ['2001:db8::1', '2001:db8:0:0:0:0:0:1'], ['2001:db8::2', '2001:db8::10']],
    ['R-05', '::/0', ['::', 'ffff::', '2001:db8::1'], ['1.2.3.4', '::ffff:1.2.3.4']],
    ['R-05', '2001:db8:0:8000::/49', ['2001:db8:0:8000::', '2001:db8:0:ffff::1'], ['2001:db8:0:7fff::', '2001:db8:1::']],
  ])('%s %s holds its first address to its last and no other', (_case, text, inside, outside) => {
    for (const address of inside) expect(holds(text, address), address).toBe(true)
    for (const address of outside) expect(holds(text, address), address).toBe(false)
  })

  it.each([
    '203.0.113.0/33',
    '203.0.113.0/-1',
    '203.0.113.0/',
    '203.0.113.0/024',
    '203.0.113.0/24/8',
    '203.0.113.0/2 4',
    ' 203.0.113.0/24',
    '203.0.113.0/24 ',
    '203.0.113.1/24',
    '203.0.113.128/24',
    '0.0.0.1/0',
    '203.0.113/24',
    '0x7f.0.0.1',
    '127.1',
    '010.0.0.0/8',
    '2001:db8::/129',
    '2001:db8::1/64',
    'fe80::1%eth0',
    'fe80::%eth0/64',
    '[2001:db8::]/32',
    '::ffff:10.0.0.0/104',
    '::ffff:a00:1',
    'example.com',
    '*',
    '',
  ])('R-03 %j is none', (text) => {
    expect(parseAddressRange(text)).toBeTypeOf('string')
  })

  it.each(['', '1.2.3', '1.2.3.4.5', 'fe80::1%eth0', '1.2.3.4%eth0', 'x', '1.2.3.4:80', '[::1]'])('%j is no address', (text) => {
    expect(addressBytes(text)).toBeUndefined()
  })

  it.each([
    [['10.1.0.0/16', '10.2.3.4'], ['10.0.0.0/8'], true],
    [['10.0.0.0/8'], ['10.0.0.0/8', '192.0.2.0/24'], true],
    [['10.0.0.0/7'], ['10.0.0.0/8'], false],
    [['10.0.0.0/8', '11.0.0.0/8'], ['10.0.0.0/8'], false],
    [['0.0.0.0/0'], ['::/0'], false],
    [['::/0'], ['0.0.0.0/0'], false],
    [['2001:db8::/48'], ['2001:db8::/32'], true],
    [['10.0.0.0/7'], ['10.0.0.0/8', '11.0.0.0/8'], false],
  ])('T-10 %j within %j: %s', (inner, outer, within) => {
    expect(areWithin(inner.map(range), outer.map(range))).toBe(within)
  })
})
