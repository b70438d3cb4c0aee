import { describe, expect, it } from 'vitest'
import { clientAddress, isTrustedPeer, rawValues, trustedProxies } from './client-address.ts'

const one = trustedProxies(['10.0.0.1'])
const two = trustedProxies(['10.0.0.0/8', '2001:db8::/32'])

describe('the client address', () => {
  it.each([
    ['an untrusted peer says nothing about others', '203.0.113.9', ['198.51.100.1'], one, '203.0.113.9'],
    ['no trusted proxies at all', '10.0.0.1', ['198.51.100.1'], trustedProxies([]), '10.0.0.1'],
    ['a spoofed left entry', '10.0.0.1', ['1.1.1.1, 198.51.100.1'], one, '198.51.100.1'],
    ['many spoofed entries', '10.0.0.1', ['1.1.1.1, 2.2.2.2, 3.3.3.3, 198.51.100.1'], one, '198.51.100.1'],
    ['a spoofed header before the real one', '10.0.0.1', ['1.1.1.1', '198.51.100.1'], one, '198.51.100.1'],
    ['a proxy that appended nothing', '10.0.0.1', [], one, '10.0.0.1'],
    ['two trusted hops', '10.0.0.1', ['198.51.100.1, 10.9.9.9'], two, '198.51.100.1'],
    ['a trusted hop behind an untrusted one', '10.0.0.1', ['10.9.9.9, 198.51.100.1'], two, '198.51.100.1'],
    ['nothing but trusted hops', '10.0.0.1', ['10.3.3.3, 10.9.9.9'], two, '10.3.3.3'],
    ['rubbish from a trusted hop', '10.0.0.1', ['198.51.100.1, unknown'], two, '10.0.0.1'],
    ['a host and port', '10.0.0.1', ['198.51.100.1:443'], two, '10.0.0.1'],
    ['a zone', '10.0.0.1', ['fe80::1%eth0'], two, '10.0.0.1'],
    ['an empty header', '10.0.0.1', [''], two, '10.0.0.1'],
    ['a peer in v4-in-v6 spelling', '::ffff:10.0.0.1', ['198.51.100.1'], one, '198.51.100.1'],
    ['an entry in v4-in-v6 spelling', '10.0.0.1', ['::ffff:198.51.100.1'], one, '198.51.100.1'],
    ['IPv6 hops', '2001:db8::1', ['2606:4700::1, 2001:DB8::2'], two, '2606:4700::1'],
  ] as const)('R-06 stays with the rightmost trusted hop: %s', (_what, peer, forwarded, trusted, expected) => {
    expect(clientAddress(peer, forwarded, trusted)).toBe(expected)
  })

  it('R-06 is read from every header of the name, and from that name alone', () => {
    const raw = ['X-Forwarded-For', 'a', 'Forwarded', 'for=b', 'X-Real-IP', 'c', 'x-forwarded-for', 'd', 'CF-Connecting-IP', 'e']
    expect(rawValues(raw, 'x-forwarded-for')).toEqual(['a', 'd'])
  })

  it('R-04 R-06 believes headers of a trusted peer alone, however its socket spells it', () => {
    const peers = ['10.0.0.1', '::ffff:10.0.0.1', '10.0.0.2', '::ffff:10.0.0.2', '::1', '', 'x']
    expect(peers.filter((peer) => isTrustedPeer(peer, one))).toEqual(['10.0.0.1', '::ffff:10.0.0.1'])
  })

  it.each(['10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0/8', 'localhost', '', '2001:db8::/129', '10.0.0.1/8.5'])(
    'R-03 trusts no proxy spelt %j',
    (range) => {
      expect(() => trustedProxies([range])).toThrow(TypeError)
    },
  )
})
