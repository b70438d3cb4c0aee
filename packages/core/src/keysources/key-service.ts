/**
 * Owns how a key that a service holds becomes a root key of ours: the stored form, the binding to the place, one question for many that ask the
 * same. Refuses to rely on the service for the binding: whatever it makes of the context it is given, the place is inside what it encrypts too; and
 * for the rest: what it encrypted, it has to open again before that is the only copy.
 */
import { CryptoError, digestEquals, KeySourceError, parseWrapped, placeFrame, serialiseWrapped, sha256 } from '../crypto/index.ts'
import type { KeyWrapper, SealPlace } from '../crypto/index.ts'
import { hasCode } from '../kernel/index.ts'

/** One key of a service. Both calls have the place, to be bound as the service knows how to. */
export interface ServiceKey {
  /** The root key's id: derived from the service's own name of the key, so that no two keys share one. */
  readonly id: string
  encrypt(plaintext: Uint8Array, place: SealPlace): Promise<Uint8Array>
  /** @throws CryptoError `decrypt_failed` when the service says that this is no ciphertext of that key at that place. */
  decrypt(ciphertext: Uint8Array, place: SealPlace): Promise<Buffer>
}

const MAX_BYTES = 1024
const DIGEST_BYTES = 32

export function rootKeyOf(service: ServiceKey): KeyWrapper {
  const running = new Map<string, Promise<Buffer>>()
  const { id } = service
  const decrypt = provenDecrypt(service)
  return {
    id,
    async wrap(bytes, place) {
      if (bytes.length === 0 || bytes.length > MAX_BYTES) throw new TypeError(`a root key wraps 1 to ${MAX_BYTES} bytes`)
      const plaintext = Buffer.concat([sha256(placeFrame(place, id)), bytes])
      try {
        const ciphertext = await service.encrypt(plaintext, place)
        await requireOpens(id, decrypt(ciphertext, place), plaintext)
        return serialiseWrapped({ keyId: id, ciphertext })
      } finally {
        plaintext.fill(0)
      }
    },
    async unwrap(wrapped, place) {
      const { keyId, ciphertext } = parseWrapped(wrapped)
      if (keyId !== id) throw new CryptoError('key_unknown', `no key with id ${keyId}`)
      const binding = sha256(placeFrame(place, id))
      return opened(await once(running, sha256(binding, wrapped).toString('hex'), () => decrypt(ciphertext, place)), binding)
    },
  }
}

/** A wrong answer is noticed while the key still exists: another's, a stale one of something in between, or nothing sensible. */
async function requireOpens(id: string, opening: Promise<Buffer>, plaintext: Buffer): Promise<void> {
  const opened = await opening.catch((error: unknown) => {
    if (hasCode(error, 'decrypt_failed')) return Buffer.alloc(0)
    throw error
  })
  const same = digestEquals(opened, plaintext)
  opened.fill(0)
  if (!same) throw new KeySourceError('key_source_refused', `what ${id} encrypted does not open again`)
}

/**
 * `decrypt`, telling a ciphertext that is damaged from a key that is gone, which some services answer alike: after a failure the last one that
 * opened has to open once more. Damage is counted and passed over; a wrong service must stop whoever asks.
 */
function provenDecrypt(service: ServiceKey): ServiceKey['decrypt'] {
  let last: Parameters<ServiceKey['decrypt']> | undefined
  return async (ciphertext, place) => {
    try {
      const plaintext = await service.decrypt(ciphertext, place)
      last = [Buffer.from(ciphertext), place]
      return plaintext
    } catch (error) {
      if (hasCode(error, 'decrypt_failed') && last !== undefined) await requireStillOpens(service, last)
      throw error
    }
  }
}

async function requireStillOpens(service: ServiceKey, last: Parameters<ServiceKey['decrypt']>): Promise<void> {
  try {
    const plaintext = await service.decrypt(...last)
    plaintext.fill(0)
  } catch (error) {
    if (!hasCode(error, 'decrypt_failed')) throw error
    throw new KeySourceError('key_source_refused', `${service.id} no longer opens what it opened before`)
  }
}

/** A copy for each of those who asked together; theirs to wipe. */
function opened(plaintext: Buffer, binding: Buffer): Buffer {
  if (!digestEquals(plaintext.subarray(0, DIGEST_BYTES), binding)) {
    throw new CryptoError('decrypt_failed', 'the envelope does not open here')
  }
  const bytes = Buffer.allocUnsafeSlow(plaintext.length - DIGEST_BYTES)
  plaintext.copy(bytes, 0, DIGEST_BYTES)
  return bytes
}

/** Wiped once all who waited have their copy: they take it before the next turn of the event loop. */
function once(running: Map<string, Promise<Buffer>>, key: string, ask: () => Promise<Buffer>): Promise<Buffer> {
  const under = running.get(key)
  if (under !== undefined) return under
  const run = ask()
  running.set(key, run)
  const end = (plaintext?: Buffer): void => {
    running.delete(key)
    if (plaintext !== undefined) setImmediate(() => plaintext.fill(0))
  }
  run.then(end, () => end())
  return run
}
