import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { randomToken, Secret } from '@sallyport/core'
import { scramVerifier } from './scram.ts'

describe('scramVerifier', () => {
  it('is what another implementation of RFC 7677 makes of the same password and salt', () => {
    const password = randomToken(24)
    const salt = Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64')
    const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256')
    const clientKey = createHmac('sha256', salted).update('Client Key').digest()
    const storedKey = createHash('sha256').update(clientKey).digest('base64')
    const serverKey = createHmac('sha256', salted).update('Server Key').digest('base64')
    expect(scramVerifier(new Secret(password), salt)).toBe(`SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$${storedKey}:${serverKey}`)
  })

  it('differs each time for the same password', () => {
    const password = new Secret(randomToken(24))
    expect(scramVerifier(password)).not.toBe(scramVerifier(password))
  })

  it.each(['short', 'fifteen-letters', 'a password with spaces in it', 'ein-Passwort-mit-ä-darin', ''])(
    'refuses "%s" as a password of a login',
    (password) => {
      expect(() => scramVerifier(new Secret(password))).toThrow(expect.objectContaining({ code: 'database_url_invalid' }) as Error)
    },
  )
})
