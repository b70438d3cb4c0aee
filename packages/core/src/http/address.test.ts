import ipaddr from 'ipaddr.js'
import { describe, expect, it } from 'vitest'
import { GLOBAL_IPV6, IPV4_INSIDE, isPrivateAddress, judgeAddress, PRIVATE_NETWORKS, REFUSED_IPV4, REFUSED_IPV6 } from './address.ts'

/** First and last address of a block, and the ones just outside. Done on one big number, apart from the code under test. */
function borders(cidr: string): { inside: string[]; below: string | undefined; above: string | undefined } {
  const [address, bits] = ipaddr.parseCIDR(cidr)
  const width = address.kind() === 'ipv4' ? 32n : 128n
  const size = 1n << (width - BigInt(bits))
  const first = address.toByteArray().reduce((value, byte) => (value << 8n) | BigInt(byte), 0n)
  const text = (value: bigint) =>
    value < 0n || value >= 1n << width
      ? undefined
      : ipaddr
          .fromByteArray(Array.from({ length: Number(width / 8n) }, (_, i) => Number((value >> (width - 8n * BigInt(i + 1))) & 255n)))
          .toString()
  return { inside: [text(first)!, text(first + size - 1n)!, text(first + size / 2n)!], below: text(first - 1n), above: text(first + size) }
}

describe('judgeAddress', () => {
  it.each([...REFUSED_IPV4])('S-01 refuses %s from its first address to its last and no further', (cidr) => {
    const { inside, below, above } = borders(cidr)
    for (const address of inside) expect(judgeAddress(address), address).toBe(cidr)
    for (const address of [below, above]) if (address !== undefined) expect(judgeAddress(address), address).not.toBe(cidr)
  })

  it.each([...REFUSED_IPV6])('S-01 refuses %s from its first address to its last and no further', (cidr) => {
    const { inside, below, above } = borders(cidr)
    for (const address of inside) expect(judgeAddress(address), address).toBe(cidr)
    for (const address of [below, above]) if (address !== undefined) expect(judgeAddress(address), address).not.toBe(cidr)
  })

  it.each([...REFUSED_IPV4].flatMap((cidr) => IPV4_INSIDE.map((form) => [cidr, form] as const)))(
    'S-07 refuses %s inside %s',
    (cidr, form) => {
      const prefix = form.slice(0, form.indexOf('/')).replace(/::$/, ':').replace(/0:0$/, '')
      for (const address of borders(cidr).inside) {
        const [a, b, c, d] = address.split('.').map(Number) as [number, number, number, number]
        const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
        expect(judgeAddress(form.startsWith('64') ? `64:ff9b::${hex}` : `${prefix}${hex}`), address).toBe(cidr)
        expect(judgeAddress(form.startsWith('64') ? `64:ff9b::${address}` : `${prefix}${address}`), address).toBe(cidr)
      }
    },
  )

  it.each([
    '::',
    '::1',
    '::7f00:1',
    '::127.0.0.1',
    '::8.8.8.8',
    '::ffff:0:8.8.8.8',
    '64:ff9b:1::1',
    '64:ff9b:1:ffff:ffff:ffff:808:808',
    '100::1',
    '100:0:0:1::1',
    '2001::1',
    '2001:0:7f00:1::',
    '2001:1::1',
    '2001:2::1',
    '2001:10::1',
    '2001:20::1',
    '2002:7f00:1::',
    '2002:808:808::',
    '3fff::1',
    '4000::',
    '5f00::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '1fff:ffff::1',
    '2606:4700:0:0:0:5efe:7f00:1',
    '2606:4700::200:5efe:a00:1',
  ])('S-01 refuses %s', (address) => {
    expect(judgeAddress(address)).toBeDefined()
  })

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '140.82.121.4',
    '223.255.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '198.17.255.255',
    '198.20.0.0',
    '2606:4700::1111',
    '2a00:1450:4001::200e',
    '2001:200::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
    '2606:4700::5efe:808:808',
  ])('lets %s pass, so that real providers stay reachable', (address) => {
    expect(judgeAddress(address)).toBeUndefined()
  })

  it('S-07 reads every spelling of an IPv6 address as the same bytes', () => {
    const spellings = [
      '::ffff:127.0.0.1',
      '::ffff:7f00:1',
      '::FFFF:7F00:0001',
      '0:0:0:0:0:ffff:127.0.0.1',
      '0000:0000:0000:0000:0000:ffff:7f00:0001',
      '0::ffff:7f00:1',
    ]
    for (const spelling of spellings) expect(judgeAddress(spelling), spelling).toBe('127.0.0.0/8')
    for (const spelling of ['2606:4700::', '2606:4700:0:0::0', '2606:4700:0::0:0']) expect(judgeAddress(spelling), spelling).toBeUndefined()
    for (const spelling of ['2001:db8::', '2001:0db8:0:0:0:0:0:0', '2001:DB8::0.0.0.1'])
      expect(judgeAddress(spelling), spelling).toBe('2001:db8::/32')
  })

  it('S-01 refuses everything outside 2000::/3, assigned or not', () => {
    for (let top = 0; top < 256; top++) {
      const address = `${top.toString(16).padStart(2, '0')}00:1::1`
      expect(judgeAddress(address) === `outside ${GLOBAL_IPV6}`, address).toBe(top < 0x20 || top > 0x3f)
    }
  })

  it.each([
    '',
    'localhost',
    '127.1',
    '0177.0.0.1',
    '0x7f.1',
    '2130706433',
    '1.1.1.1.',
    '1.1.1.1%eth0',
    'fe80::1%eth0',
    '2606:4700::1111%1',
    '[::1]',
    '1.1.1.01',
    ' 1.1.1.1',
    '１.1.1.1',
  ])('S-07 refuses %j, which is no address as a socket prints it', (text) => {
    expect(judgeAddress(text)).toBe('not an address')
  })
})

describe('isPrivateAddress', () => {
  it.each([...PRIVATE_NETWORKS])('X-04 takes %s from its first address to its last and no further', (cidr) => {
    const { inside, below, above } = borders(cidr)
    for (const address of inside) expect(isPrivateAddress(address), address).toBe(true)
    for (const address of [below, above]) if (address !== undefined) expect(isPrivateAddress(address), address).toBe(false)
  })

  it.each(['::ffff:10.0.0.7', '::ffff:a00:7', '64:ff9b::10.0.0.7'])('X-04 takes %s, which is an IPv4 address inside', (address) => {
    expect(isPrivateAddress(address)).toBe(true)
  })

  it.each([
    '8.8.8.8',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '2002:808:808::1',
    '2002:a00:7::1',
    '2001:0:808:808::1',
    '2606:4700::1',
    '198.18.0.1',
    '192.0.2.1',
    '224.0.0.1',
    '::',
    '0.0.0.0',
    'fe80::1%eth0',
    'db.internal',
    '',
  ])('X-04 takes %s for no network of ours, which it is not or may not be', (address) => {
    expect(isPrivateAddress(address)).toBe(false)
  })
})
