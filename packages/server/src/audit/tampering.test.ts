/**
 * G6: every change of a log is found by whoever has its export and a public key. Changes are drawn by a seed: 1,000 of them in the suite, as many as
 * SALLYPORT_TAMPERINGS says otherwise.
 */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { ed25519Signer, formatId, newId } from '@sallyport/core'
import type { Ed25519Signer, OrgId } from '@sallyport/core'
import type { StoredAuditEvent, StoredCheckpoint } from '../db/index.ts'
import { canonicalJson } from './canonical-json.ts'
import { auditEventHash, formOf } from './chain.ts'
import { checkpointDigest, checkpointLine, checkpointStatement } from './checkpoint.ts'
import { behindOpened, endLine, exportBeginning } from './export-end.ts'
import { readPublicKey, verifyExport } from './export-file.ts'
import { eventLine, openedLine } from './export.ts'

const COUNT = Number(process.env['SALLYPORT_TAMPERINGS'] ?? 1_000)
const seed = Number(process.env['SALLYPORT_TEST_SEED'] ?? Date.now() % 2 ** 31)
console.info(`tampering seed ${seed}, ${COUNT} changes`)

/** Mulberry32: small, and the same everywhere. */
function dice(from: number): (sides: number) => number {
  let state = from
  return (sides) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides
  }
}

const EVENTS = 12
const at = (n: number): string => `2026-01-01T00:00:${String(n).padStart(2, '0')}.000000Z`

interface Made {
  readonly org: OrgId
  readonly lines: readonly string[]
  readonly key: Buffer
}

/** A log of `EVENTS` events, as whoever holds `signer` writes it: a person in every third, a checkpoint behind every fourth, and the end. */
function write(org: OrgId, signer: Ed25519Signer, actor = (n: number): string => `user_${n % 3}`): Made {
  const first = {
    type: 'sallyport-audit-export',
    version: 2,
    org: formatId('org', org),
    filtered: false,
    keys: [{ id: 'the-only-key', public_key: signer.publicKey.toString('base64url') }],
  }
  const lines = [JSON.stringify(first)]
  let end = exportBeginning(org)
  let prevHash: Buffer = Buffer.alloc(32)
  let last: StoredCheckpoint | undefined
  for (let n = 1; n <= EVENTS; n += 1) {
    const said = { org, seq: BigInt(n), at: at(n), action: 'thing.changed', actor: actor(n), target: `thing ${n}`, prevHash }
    const personal = n % 3 === 0 ? Buffer.from(`sealed ${n}`).toString('base64url') : null
    const event = { ...said, detail: canonicalJson({ n, text: 'é"\\' }), form: formOf(personal), personal }
    const hashed: StoredAuditEvent = { ...event, hash: auditEventHash(event) }
    lines.push(eventLine(hashed))
    prevHash = hashed.hash
    end = { ...end, events: BigInt(n), head: prevHash }
    // One of them was forgotten.
    if (personal !== null && n !== 6) {
      const opened = openedLine(hashed.seq, { email: `person-${n}@example.test` })
      lines.push(opened)
      end = behindOpened(end, opened)
    }
    if (n % 4 !== 0) continue
    const previous = last === undefined ? Buffer.alloc(32) : checkpointDigest(last)
    const statement = { org, number: BigInt(n / 4), seq: BigInt(n), hash: prevHash, at: at(n), previous, key: 'the-only-key' }
    last = { ...statement, signature: signer.sign(checkpointStatement(statement)) }
    lines.push(checkpointLine(last))
  }
  return { org, lines: [...lines, endLine(end, { id: 'the-only-key', signer })], key: signer.publicKey }
}

async function isWhole(lines: readonly string[], key: Buffer): Promise<boolean> {
  const reading = (async function* () {
    yield* lines
  })()
  // What is no export any more is found, too.
  return verifyExport(reading, [key]).then(
    ({ intact }) => intact,
    () => false,
  )
}

describe('an exported log', () => {
  const signer = ed25519Signer(randomBytes(32))
  const made = write(newId('org'), signer)
  const foreign = write(newId('org'), signer)
  const forged = write(made.org, ed25519Signer(randomBytes(32)), () => 'user_somebody_else')

  it('is whole as it was written', async () => {
    expect(await isWhole(made.lines, readPublicKey(made.key.toString('base64url')))).toBe(true)
    expect(await isWhole(forged.lines, forged.key)).toBe(true)
  })

  it(`G6 has every one of many changes found: a letter, a line, an order, a piece of another log, an end, all of it written anew`, async () => {
    const roll = dice(seed)
    const { lines } = made
    const kinds: readonly ((line: number) => readonly string[])[] = [
      (n) => {
        const place = roll(lines[n]!.length)
        return lines.with(n, lines[n]!.slice(0, place) + String.fromCharCode(33 + roll(94)) + lines[n]!.slice(place + 1))
      },
      (n) => {
        const place = roll(lines[n]!.length)
        return lines.with(n, lines[n]!.slice(0, place) + lines[n]!.slice(place + 1))
      },
      (n) => lines.with(n, `${lines[n]!} `),
      (n) => lines.toSpliced(n, 1),
      (n) => lines.toSpliced(n, 0, lines[roll(lines.length)]!),
      (n) => lines.with(n, foreign.lines[n]!),
      (n) => lines.slice(0, n),
      (n) => [...lines.slice(0, n), lines.at(-1)!],
      (n) => lines.with(n, lines[roll(lines.length)]!),
      (n) => [...lines.slice(0, n), ...forged.lines.slice(n)],
      (n) => [...forged.lines.slice(0, n), ...lines.slice(n)],
    ]
    const same = lines.join('\n')
    const missed: string[] = []
    for (let done = 0; done < COUNT;) {
      const kind = roll(kinds.length)
      const changed = kinds[kind]!(roll(lines.length))
      // Some draws change nothing.
      if (changed.join('\n') === same) continue
      done += 1
      if (await isWhole(changed, made.key)) missed.push(`${kind}: ${changed.join('\n')}`)
    }
    expect(missed).toEqual([])
  })
})
