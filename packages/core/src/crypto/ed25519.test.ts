import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ed25519Signer, ed25519Verifier } from './ed25519.ts'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

describe('Ed25519', () => {
  // RFC 8032 section 7.1, TEST 1 to TEST 3.
  it.each([
    [
      '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      '',
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    ],
    [
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ],
    [
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ],
  ])('signs as the vectors of RFC 8032 say: %s', (seed, publicKey, message, signature) => {
    const signer = ed25519Signer(hex(seed))
    expect(signer.publicKey.toString('hex')).toBe(publicKey)
    expect(signer.sign(hex(message)).toString('hex')).toBe(signature)
    expect(ed25519Verifier(hex(publicKey)).verify(hex(message), hex(signature))).toBe(true)
  })

  it('believes no other message, key or signature, and no flipped bit of either', () => {
    const [signer, other] = [ed25519Signer(randomBytes(32)), ed25519Signer(randomBytes(32))]
    const message = Buffer.from('a statement')
    const signature = signer.sign(message)
    const verifier = ed25519Verifier(signer.publicKey)
    for (let bit = 0; bit < 512; bit += 1) {
      const bent = Buffer.from(signature)
      bent[bit >> 3]! ^= 1 << (bit & 7)
      expect(verifier.verify(message, bent)).toBe(false)
    }
    expect(verifier.verify(Buffer.from('a statemenT'), signature)).toBe(false)
    expect(ed25519Verifier(other.publicKey).verify(message, signature)).toBe(false)
    for (const wrong of [Buffer.alloc(0), signature.subarray(1), Buffer.concat([signature, Buffer.alloc(1)]), Buffer.alloc(64)]) {
      expect(verifier.verify(message, wrong)).toBe(false)
    }
  })

  it('refuses seeds that can not have been random, and keys of another length', () => {
    for (const seed of [Buffer.alloc(0), randomBytes(31), randomBytes(64), Buffer.alloc(32), Buffer.alloc(32, 7)]) {
      expect(() => ed25519Signer(seed)).toThrow(expect.objectContaining({ code: 'key_invalid' }))
    }
    for (const key of [Buffer.alloc(0), randomBytes(31), randomBytes(33)]) {
      expect(() => ed25519Verifier(key)).toThrow(expect.objectContaining({ code: 'key_invalid' }))
    }
  })
})
