import { describe, expect, it } from 'vitest'
import { Secret } from '../kernel/index.ts'
import { seal } from './envelope.ts'
import { generateKeyBytes, sealingKey } from './sealing-key.ts'
import { parseWrapped, wrappingKeyId } from './wrapped-form.ts'

describe('the wrapped form', () => {
  it('names its root key where an envelope does, and is not taken for one', () => {
    const envelope = seal(
      sealingKey('here-1', generateKeyBytes()),
      { purpose: 'p', org: '', table: 't', column: 'c', record: 'r', seq: 0n },
      new Secret('x'),
    )
    expect(wrappingKeyId(envelope)).toBe('here-1')
    expect(() => parseWrapped(envelope)).toThrow(expect.objectContaining({ code: 'envelope_malformed' }))
  })

  it.each<[string, Buffer, string]>([
    ['nothing', Buffer.alloc(0), 'envelope_malformed'],
    ['a magic alone', Buffer.from('SPW'), 'envelope_malformed'],
    ['another version', Buffer.from('SPW\u0002\u0001kx', 'latin1'), 'envelope_version_unknown'],
    ['no key id', Buffer.from('SPW\u0001\u0000x', 'latin1'), 'envelope_malformed'],
    ['an id past the end', Buffer.from('SPW\u0001\u0009kx', 'latin1'), 'envelope_malformed'],
    ['an id outside the grammar', Buffer.from('SPW\u0001\u0001/x', 'latin1'), 'envelope_malformed'],
    ['no ciphertext', Buffer.from('SPW\u0001\u0001k', 'latin1'), 'envelope_malformed'],
  ])('C-12 refuses %s', (_name, bytes, code) => {
    expect(() => wrappingKeyId(bytes)).toThrow(expect.objectContaining({ code }))
  })
})
