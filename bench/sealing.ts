/**
 * Owns the cost of sealing and opening 2 KB beside what it can't be had for less: one HKDF-SHA256 and one AES-256-GCM over the same bytes with the same
 * associated data, with nothing around them. Both take turns, so that whatever else the machine does meets both.
 */
import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, randomBytes } from 'node:crypto'
import { generateKeyBytes, newId, open, seal, sealingKey, Secret } from '@sallyport/core'
import type { SealPlace } from '@sallyport/core'
import { spread } from './statistics.ts'
import type { Spread } from './statistics.ts'

export interface SealingCost {
  readonly perSecond: number
  readonly rawPerSecond: number
  /** Time by the raw time of the same round: 1 is as good as raw. */
  readonly toRaw: Spread
}

export interface SealingFigures {
  readonly bytes: number
  readonly seal: SealingCost
  readonly open: SealingCost
}

const BYTES = 2_048
const OPTIONS = { authTagLength: 16 } as const
const PURPOSE = 'credential'

export function measureSealing(plan: { readonly rounds: number; readonly times: number }): SealingFigures {
  const key = sealingKey(newId('dk'), generateKeyBytes())
  const place: SealPlace = {
    purpose: PURPOSE,
    org: newId('org'),
    table: 'credential_version',
    column: 'sealed',
    record: newId('conn'),
    seq: 7n,
  }
  const bytes = Buffer.from(randomBytes(BYTES / 2).toString('hex'))
  const secret = new Secret(bytes.toString('utf8'))
  const envelope = seal(key, place, secret)
  const raw = rawCiphers(bytes)
  const find = (id: string) => (id === key.id ? key : undefined)
  return {
    bytes: BYTES,
    seal: compare(plan, () => seal(key, place, secret), raw.seal),
    open: compare(plan, () => open(find, place, envelope), raw.open),
  }
}

/** The same algorithms over the same sizes, by Node's own functions. Randomness is drawn: without it there would be no seal. */
function rawCiphers(bytes: Buffer): { readonly seal: () => unknown; readonly open: () => unknown } {
  const key = createSecretKey(randomBytes(32))
  const aad = randomBytes(190)
  const recordKey = (salt: Buffer) => createSecretKey(Buffer.from(hkdfSync('sha256', key, salt, PURPOSE, 32)))
  const sealRaw = () => {
    const [salt, nonce] = [randomBytes(24), randomBytes(12)]
    const cipher = createCipheriv('aes-256-gcm', recordKey(salt), nonce, OPTIONS)
    cipher.setAAD(aad)
    const ciphertext = cipher.update(bytes)
    cipher.final()
    return { salt, nonce, ciphertext, tag: cipher.getAuthTag() }
  }
  const sealed = sealRaw()
  const openRaw = () => {
    const decipher = createDecipheriv('aes-256-gcm', recordKey(sealed.salt), sealed.nonce, OPTIONS)
    decipher.setAAD(aad)
    decipher.setAuthTag(sealed.tag)
    const plaintext = decipher.update(sealed.ciphertext)
    decipher.final()
    return plaintext
  }
  return { seal: sealRaw, open: openRaw }
}

function compare(
  { rounds, times }: { readonly rounds: number; readonly times: number },
  ours: () => unknown,
  raw: () => unknown,
): SealingCost {
  for (const each of [ours, raw]) timed(each, times)
  const samples = Array.from({ length: rounds }, (_, round) => {
    // Who begins changes, so that neither always meets what the other left behind.
    if (round % 2 === 0) return { ours: timed(ours, times), raw: timed(raw, times) }
    const first = timed(raw, times)
    return { ours: timed(ours, times), raw: first }
  })
  return {
    perSecond: Math.round(1000 / median(samples.map((sample) => sample.ours))),
    rawPerSecond: Math.round(1000 / median(samples.map((sample) => sample.raw))),
    toRaw: spread(samples.map((sample) => sample.ours / sample.raw)),
  }
}

/** Milliseconds of CPU of one run: what other processes take of the machine is not in it. */
function timed(run: () => unknown, times: number): number {
  const before = process.cpuUsage()
  for (let n = 0; n < times; n++) run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000 / times
}

function median(values: readonly number[]): number {
  return spread(values).median
}
