/** Owns root keys that a PKCS#11 token holds, with the place as associated data. Refuses nothing of its own: the token and `rootKeyOf` do. */
import { placeFrame } from '../../crypto/index.ts'
import type { KeyWrapper } from '../../crypto/index.ts'
import { rootKeyOf } from '../key-service.ts'
import type { Pkcs11Device } from './device.ts'

const BY_LABEL = /^[0-9A-Za-z][0-9A-Za-z._-]{0,49}$/
const BY_ID = /^id:(?:[0-9a-f]{2}){1,24}$/

/** Whether a key of a token may be called this: a label of letters, digits, ".", "_" and "-", or `id:` and hex in lower case. */
export function isPkcs11KeyName(name: string): boolean {
  return BY_LABEL.test(name) || BY_ID.test(name)
}

/** The root key's id. Another token with a key of this name is told apart by the check value in the database. */
export function pkcs11KeyId(name: string): string {
  return name.startsWith('id:') ? `pkcs11-id.${name.slice(3)}` : `pkcs11.${name}`
}

/** The AES-256 key `name` of the token as a root key. @throws TypeError for a name that `isPkcs11KeyName` refuses */
export function pkcs11Key(device: Pkcs11Device, name: string): KeyWrapper {
  if (!isPkcs11KeyName(name)) throw new TypeError('not the name of a key of a token')
  const id = pkcs11KeyId(name)
  return rootKeyOf({
    id,
    encrypt: (plaintext, place) => device.encrypt(name, placeFrame(place, id), plaintext),
    decrypt: (ciphertext, place) => device.decrypt(name, placeFrame(place, id), ciphertext),
  })
}
