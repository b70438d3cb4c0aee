import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { frame, open } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import type { BearerTokens, CredentialRef } from '../tokens/index.ts'
import { readEncryption } from './encryption.ts'
import { TokenSealer } from './token-sealer.ts'

const key = randomBytes(32).toString('hex')
const sealer = (): TokenSealer => new TokenSealer(readEncryption({ key }))
const ref: CredentialRef = { scope: 'github', id: 'user-1' }
const tokens: BearerTokens = {
  accessToken: new Secret('fake-access'),
  refreshToken: new Secret('fake-refresh'),
  tokenType: 'bearer',
  expiresAt: null,
  scopes: [],
  extra: new Secret('{}'),
}
const versionAt = (seq: bigint, sealed: Uint8Array) => ({ seq, parentSeq: null, generation: 1, obtainedAt: 0, sealed })

describe('the sealing of tokens in a store of the SDK', () => {
  it('opens at its place in every store with the key', () => {
    const sealed = sealer().version(ref, tokens).seal(7n)
    expect(sealer().openVersion(ref, versionAt(7n, sealed)).tokens.accessToken.reveal()).toBe('fake-access')
  })

  it('C-02 opens for no other credential, at no other number, and not where names run together', () => {
    const sealed = sealer().version(ref, tokens).seal(7n)
    const elsewhere: readonly [CredentialRef, bigint][] = [
      [ref, 8n],
      [{ scope: 'github', id: 'user-2' }, 7n],
      [{ scope: 'google', id: 'user-1' }, 7n],
      [{ scope: 'githubuser', id: '-1' }, 7n],
    ]
    for (const [of, seq] of elsewhere)
      expect(() => sealer().openVersion(of, versionAt(seq, sealed))).toThrow(expect.objectContaining({ code: 'decrypt_failed' }))
  })

  it('is bound to the place that is documented, whatever the kind of store', () => {
    const sealed = sealer().version(ref, tokens).seal(7n)
    const ring = readEncryption({ key })
    const record = frame(['github', 'user-1']).toString('base64url')
    const place = { purpose: 'credential', org: '', table: 'credential_version', column: 'sealed', record, seq: 7n }
    expect(open((id) => ring.get(id), place, sealed).reveal()).toContain('fake-access')
  })

  it('keeps what is for one purpose from another', () => {
    const answer = { ref, intent: 'i', generation: 1, parentSeq: 7n }
    const sealed = sealer().sealAnswer(answer, new Secret('fake-answer'))
    expect(
      sealer()
        .openAnswer({ ...answer, sealed })
        .reveal(),
    ).toBe('fake-answer')
    expect(() => sealer().openVersion(ref, versionAt(7n, sealed))).toThrow(expect.objectContaining({ code: 'decrypt_failed' }))
    const unread = sealer().sealUnread(ref, 'i', new Secret('fake-answer'))
    expect(() => sealer().openAnswer({ ...answer, sealed: unread })).toThrow(expect.objectContaining({ code: 'decrypt_failed' }))
  })
})
