/**
 * Owns root keys that the transit engine of HashiCorp Vault or OpenBao holds, with the place as associated data. Its own rotation of such a key
 * makes versions under the same name and needs nothing here. Refuses ciphertexts that aren't of its form.
 */
import * as z from 'zod'
import { placeFrame } from '../crypto/index.ts'
import type { KeyWrapper } from '../crypto/index.ts'
import type { HashicorpClient } from './hashicorp-client.ts'
import { rootKeyOf } from './key-service.ts'

const encrypted = z.object({ ciphertext: z.string().regex(/^vault:v[1-9]\d{0,9}:[A-Za-z0-9+/=]+$/) })
const decrypted = z.object({ plaintext: z.base64().min(1) })

/** The root key's id. Another mount or server with a key of this name is told apart by the check value in the database. */
export function transitKeyId(name: string): string {
  return `transit.${name}`
}

/** The key `name` (an AEAD type: `aes256-gcm96`, `chacha20-poly1305`) of the engine at `mount` as a root key. */
export function transitKey(client: HashicorpClient, at: { readonly mount: string; readonly name: string }): KeyWrapper {
  const id = transitKeyId(at.name)
  return rootKeyOf({
    id,
    async encrypt(plaintext, place) {
      const input = { plaintext: Buffer.from(plaintext).toString('base64'), associated_data: placeFrame(place, id).toString('base64') }
      const { ciphertext } = await client.call(`${at.mount}/encrypt/${at.name}`, encrypted, { input })
      return Buffer.from(ciphertext, 'latin1')
    },
    async decrypt(ciphertext, place) {
      const input = {
        ciphertext: Buffer.from(ciphertext).toString('latin1'),
        associated_data: placeFrame(place, id).toString('base64'),
      }
      const { plaintext } = await client.call(`${at.mount}/decrypt/${at.name}`, decrypted, { input, opening: true })
      return Buffer.from(plaintext, 'base64')
    },
  })
}
