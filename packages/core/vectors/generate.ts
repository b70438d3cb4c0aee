/**
 * Owns the published test vectors of the envelope: run it to write `envelope.json` beside it. Keys, salts and nonces are
 * counting bytes, so that nobody can take them for real ones. Only this file and its test may choose a nonce.
 */
import { hkdfSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { frame } from '../src/crypto/digest.ts'
import { sealWith } from '../src/crypto/envelope.ts'
import type { SealPlace } from '../src/crypto/envelope.ts'
import { sealingKey } from '../src/crypto/sealing-key.ts'

const keys = { k1: counting(0x40, 32), 'root.2026-01': counting(0x80, 32) }
const place: SealPlace = {
  purpose: 'access-token',
  org: '00000000-0000-7000-8000-000000000001',
  table: 'credential_version',
  column: 'sealed',
  record: '00000000-0000-7000-8000-000000000002',
  seq: 7n,
}

const first = opens('a short text', 'k1', place, Buffer.from('not a real token'), 0x01)
const opened = [
  first,
  opens('nothing at all', 'k1', place, Buffer.alloc(0), 0x21),
  opens('no organization, sequence zero', 'root.2026-01', { ...place, org: '', seq: 0n }, counting(0x00, 32), 0x41),
  opens(
    'the largest sequence and text outside ASCII',
    'k1',
    { ...place, record: 'Zoë/日', seq: 2n ** 64n - 1n },
    Buffer.from('Zoë 日本'),
    0x61,
  ),
  opens('a kilobyte', 'k1', place, Buffer.concat(Array.from({ length: 4 }, () => counting(0x00, 256))), 0x81),
]

const sample = Buffer.from(first.envelope, 'hex')
const refused = [
  refuses('another organization', 'decrypt_failed', { ...place, org: '00000000-0000-7000-8000-000000000003' }, sample),
  refuses('another purpose', 'decrypt_failed', { ...place, purpose: 'refresh-token' }, sample),
  refuses('another table', 'decrypt_failed', { ...place, table: 'connection' }, sample),
  refuses('another column', 'decrypt_failed', { ...place, column: 'raw' }, sample),
  refuses('another record', 'decrypt_failed', { ...place, record: '00000000-0000-7000-8000-000000000004' }, sample),
  refuses('an earlier version of the record', 'decrypt_failed', { ...place, seq: 6n }, sample),
  refuses('a border moved between two parts', 'decrypt_failed', { ...place, table: 'credential_versions', column: 'ealed' }, sample),
  refuses('one bit of the salt', 'decrypt_failed', place, flipped(sample, 7)),
  refuses('one bit of the nonce', 'decrypt_failed', place, flipped(sample, 31)),
  refuses('one bit of the ciphertext', 'decrypt_failed', place, flipped(sample, 43)),
  refuses('one bit of the tag', 'decrypt_failed', place, flipped(sample, sample.length - 1)),
  refuses('a tag cut by one byte', 'decrypt_failed', place, sample.subarray(0, -1)),
  refuses('a byte too many', 'decrypt_failed', place, Buffer.concat([sample, Buffer.of(0)])),
  refuses('a key that is not here', 'key_unknown', place, replaced(sample, 6, 0x39)),
  refuses('version 0', 'envelope_version_unknown', place, replaced(sample, 3, 0)),
  refuses('version 2', 'envelope_version_unknown', place, replaced(sample, 3, 2)),
  refuses('another magic', 'envelope_malformed', place, flipped(sample, 0)),
  refuses('a key id without characters', 'envelope_malformed', place, replaced(sample, 4, 0)),
  refuses('a key id longer than 64', 'envelope_malformed', place, replaced(Buffer.concat([sample, Buffer.alloc(100)]), 4, 65)),
  refuses('a key id with a slash', 'envelope_malformed', place, replaced(sample, 5, 0x2f)),
  refuses('too short for a tag', 'envelope_malformed', place, sample.subarray(0, 58)),
  refuses('nothing', 'envelope_malformed', place, Buffer.alloc(0)),
]

/** The whole file, as it is published. */
export function envelopeVectors(): string {
  const about = [
    'Sallyport envelope, version 1. Bytes are hex, seq is decimal.',
    'derivedKey is HKDF-SHA256(key, salt, info = purpose); associatedData and the layout are described in src/crypto/envelope.ts.',
    'Each entry of "open" gives its plaintext; each entry of "refuse" fails with its code.',
  ]
  const hexKeys = Object.fromEntries(Object.entries(keys).map(([id, bytes]) => [id, bytes.toString('hex')]))
  return `${JSON.stringify({ about, keys: hexKeys, open: opened, refuse: refused }, undefined, 2)}\n`
}

function opens(name: string, keyId: keyof typeof keys, at: SealPlace, plaintext: Buffer, from: number) {
  const salt = counting(from, 24)
  const nonce = counting(from + 0x10, 12)
  const associatedData = frame(['sallyport/1', at.purpose, at.org, at.table, at.column, at.record, at.seq.toString(), keyId])
  return {
    name,
    keyId,
    place: spelled(at),
    salt: salt.toString('hex'),
    nonce: nonce.toString('hex'),
    derivedKey: Buffer.from(hkdfSync('sha256', keys[keyId], salt, at.purpose, 32)).toString('hex'),
    associatedData: associatedData.toString('hex'),
    plaintext: plaintext.toString('hex'),
    envelope: sealWith({ salt, nonce }, sealingKey(keyId, keys[keyId]), at, plaintext).toString('hex'),
  }
}

function refuses(name: string, code: string, at: SealPlace, envelope: Buffer) {
  return { name, code, place: spelled(at), envelope: envelope.toString('hex') }
}

function spelled(at: SealPlace) {
  return { ...at, seq: at.seq.toString() }
}

function counting(from: number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (from + i) % 256))
}

function flipped(bytes: Buffer, at: number): Buffer {
  return replaced(bytes, at, bytes[at]! ^ 1)
}

function replaced(bytes: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = value
  return copy
}

if (import.meta.main) writeFileSync(new URL('envelope.json', import.meta.url), envelopeVectors())
