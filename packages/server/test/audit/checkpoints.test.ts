import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest'
import { ed25519Signer, newId } from '@sallyport/core'
import type { OrgId } from '@sallyport/core'
import {
  checkpointDigest,
  checkpointLine,
  checkpointStatement,
  exportText,
  INSTALLATION,
  linesOf,
  readCheckpoints,
  readPublicKey,
  signingKeys,
  verifyExport,
  verifyOrganization,
} from '../../src/audit/index.ts'
import type { Checkpointer } from '../../src/audit/index.ts'
import { checkpointListAscending } from '../../src/db/index.ts'
import type { StoredCheckpoint } from '../../src/db/index.ts'
import { auditWorld, thing } from './world.ts'
import type { AuditWorld } from './world.ts'

let world: AuditWorld
let node: Checkpointer
beforeAll(async () => {
  world = await auditWorld(inject('postgresUrl'))
  node = world.node()
})
afterAll(async () => {
  await node.close()
  await world.close()
})

const stored = (org: OrgId): Promise<StoredCheckpoint[]> =>
  world.database.withTenant(org, (tx) => checkpointListAscending(tx, { limit: 1_000 }))
const verify = (org: OrgId, believed?: Parameters<typeof verifyOrganization>[2]) => verifyOrganization(world.database, org, believed)
const publicKeys = async (): Promise<ReadonlyMap<string, Buffer>> =>
  new Map((await signingKeys(world)).map(({ id, publicKey }) => [id, publicKey]))
const current = async (): Promise<Buffer> => (await signingKeys(world)).find(({ retiredAt }) => retiredAt === null)!.publicKey

/** An organization with `events` events and a checkpoint behind the last. */
async function signedLog(events: number): Promise<OrgId> {
  const org = newId('org')
  await world.append(org, ...Array.from({ length: events }, (_, i) => thing(i)))
  await node.checkpoint(org)
  return org
}

describe('checkpoints', () => {
  it('vouch for the end of a log, follow each other, and are signed by the published key', async () => {
    const org = await signedLog(3)
    await world.append(org, thing('more'))
    await node.checkpoint(org)
    const [first, second, ...rest] = await stored(org)
    expect(rest).toEqual([])
    expect([first!.seq, second!.seq, second!.number]).toEqual([3n, 4n, 2n])
    expect(second!.previous).toEqual(checkpointDigest(first!))
    expect(await verify(org)).toMatchObject({ intact: true, events: 4n, checkpoints: 2n, vouched: { seq: 4n, at: second!.at } })
    expect(await verify(org, { trusted: [await current()] })).toMatchObject({ intact: true })
    expect(await verify(org, { trusted: [ed25519Signer(Buffer.from(newId('key').slice(0, 32))).publicKey] })).toMatchObject({
      intact: false,
      firstFault: { seq: 4n, reason: 'signature' },
    })
  })

  it('A-10 come to every other log, and outside, when one can not be signed: who breaks one log stops no other', async () => {
    const lone = await auditWorld(inject('postgresUrl'))
    try {
      const eager = lone.node({ everySeconds: 0 })
      const [before, broken, behind] = [newId('org'), newId('org'), newId('org')].toSorted() as [OrgId, OrgId, OrgId]
      for (const org of [before, broken, behind]) await lone.append(org, thing(1))
      await lone.tamper(`update sallyport.audit_head set hash = sha256('another') where org_id = $1`, [broken])
      for (let look = 0; look < 2; look++) {
        await eager.look()
        const lists = await Promise.all(
          [before, broken, behind].map((org) => lone.database.withTenant(org, (tx) => checkpointListAscending(tx, { limit: 10 }))),
        )
        expect(lists.map(({ length }) => length)).toEqual([1, 0, 1])
        const lines = (await readFile(lone.file, 'utf8')).split('\n')
        for (const [one] of lists) if (one !== undefined) expect(lines).toContain(checkpointLine(one))
      }
      expect(lone.metrics.render()).toContain('sallyport_audit_checkpoints_total{outcome="failed"} 2')
      await eager.close()
    } finally {
      await lone.close()
    }
  })

  it('come to every log that went on, by a look over all, and to none that did not', async () => {
    const eager = world.node({ everySeconds: 0 })
    const orgs = [newId('org'), newId('org'), newId('org')]
    for (const org of orgs) await world.append(org, thing(1))
    expect(await eager.look()).toBeGreaterThanOrEqual(3)
    for (const org of orgs) expect(await stored(org)).toHaveLength(1)
    expect(await eager.look()).toBe(0)
    await world.append(orgs[1]!, thing(2))
    expect(await eager.look()).toBe(1)
    await eager.close()
  })

  it('come after so many events, whatever the time', async () => {
    const counting = world.node({ everyEvents: 3, everySeconds: 3_600 })
    const org = await signedLog(1)
    await counting.look()
    await world.append(org, thing(2), thing(3))
    await counting.look()
    expect(await stored(org)).toHaveLength(1)
    await world.append(org, thing(4))
    await counting.look()
    expect((await stored(org)).map(({ seq }) => seq)).toEqual([1n, 4n])
    await counting.close()
  })

  it('are one line without forks when many nodes sign at once', async () => {
    const nodes = [node, world.node(), world.node(), world.node()]
    const org = newId('org')
    for (let round = 0; round < 5; round += 1) {
      await world.append(org, thing(round))
      await Promise.all(nodes.map((each) => each.checkpoint(org)))
    }
    const all = await stored(org)
    expect(all.map(({ number }) => number)).toEqual(all.map((_, i) => BigInt(i + 1)))
    expect(all.at(-1)!.seq).toBe(5n)
    expect(await verify(org)).toMatchObject({ intact: true })
    await Promise.all(nodes.slice(1).map((each) => each.close()))
  })

  // The risk: an export begins as a node signs, is told to come back later, and nobody else ever exported.
  it('A-15 are there for whoever asks, also when another node signs at this moment or did just before', async () => {
    const org = await signedLog(1)
    expect((await node.checkpoint(org))?.number).toBe(1n)
    const nodes = [node, world.node(), world.node(), world.node()]
    for (let round = 2; round < 6; round += 1) {
      await world.append(org, thing(round))
      const signed = await Promise.all(nodes.map((each) => each.checkpoint(org)))
      expect(signed.map((one) => one?.seq)).toEqual(nodes.map(() => BigInt(round)))
    }
    await Promise.all(nodes.slice(1).map((each) => each.close()))
  })

  it('A-01 are appended by one function and changed by nobody', async () => {
    const org = await signedLog(2)
    const [one] = await stored(org)
    await world.fresh.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [org])
      for (const table of ['audit_checkpoint', 'audit_signing_key']) {
        for (const statement of [
          `insert into sallyport.${table} select * from sallyport.${table}`,
          `update sallyport.${table} set ${table === 'audit_checkpoint' ? 'number = number' : 'id = id'}`,
          `delete from sallyport.${table}`,
          `truncate sallyport.${table} cascade`,
          `alter table sallyport.${table} disable trigger all`,
        ]) {
          await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' })
        }
      }
      const put = (number: bigint, seq: bigint, hash: Buffer, key = one!.key) =>
        client.query('select sallyport.audit_checkpoint_put($1, $2, $3, now(), $4, $5, $6) as done', [
          String(number),
          String(seq),
          hash,
          Buffer.alloc(32),
          key,
          Buffer.alloc(64),
        ])
      // Of a log that says otherwise, of events that are not there, behind the last one, out of turn, by a key that nobody has.
      await expect(put(2n, 2n, Buffer.alloc(32))).rejects.toMatchObject({ code: '23514' })
      await expect(put(2n, 9n, one!.hash)).rejects.toMatchObject({ code: '23514' })
      await expect(put(2n, 1n, one!.hash)).rejects.toMatchObject({ code: '23514' })
      expect((await put(1n, 2n, one!.hash)).rows).toEqual([{ done: false }])
      expect((await put(3n, 2n, one!.hash)).rows).toEqual([{ done: false }])
      expect((await put(2n, 2n, one!.hash, 'no-such-key')).rows).toEqual([{ done: false }])
    })
    for (const statement of ['update sallyport.audit_checkpoint set number = number', 'delete from sallyport.audit_signing_key']) {
      await expect(world.fresh.asSuperuser(statement)).rejects.toMatchObject({ code: '42501' })
    }
    expect(await stored(org)).toHaveLength(1)
  })

  it('A-02 are of the organization of the transaction, and seen by no other', async () => {
    const [org, other] = [await signedLog(1), await signedLog(1)]
    await world.fresh.asGateway(async (client) => {
      const all = () => client.query('select org_id from sallyport.audit_checkpoint')
      expect((await all()).rows).toEqual([])
      await client.query(`select set_config('sallyport.org', $1, false)`, [other])
      expect((await all()).rows).toEqual([{ org_id: other }])
    })
    expect((await stored(org)).map((each) => each.org)).toEqual([org])
  })
})

describe('the signing key', () => {
  it('A-17 is changed on record; old checkpoints stay valid, and the retired key vouches for nothing more', async () => {
    const [dormant, busy] = [await signedLog(2), await signedLog(2)]
    const before = await current()
    const { from, to } = await node.rotate('user_x')
    const after = await current()
    expect(after).not.toEqual(before)
    const [, last] = await stored(dormant)
    // Nothing happened in it, and yet the new key has signed for it.
    expect([last!.key, last!.seq]).toEqual([to, 2n])
    await world.append(busy, thing(3))
    await node.checkpoint(busy)
    for (const org of [dormant, busy, INSTALLATION]) {
      expect(await verify(org, { trusted: [after] })).toMatchObject({ intact: true })
      expect(await verify(org, { trusted: [before] })).toMatchObject({ intact: false, firstFault: { reason: 'signature' } })
    }
    const { rows } = await world.fresh.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [INSTALLATION])
      return client.query<{ actor: string; detail: string }>(
        `select actor, detail from sallyport.audit_event where action = 'audit_key.rotated' order by seq desc limit 1`,
      )
    })
    expect(rows[0]!.actor).toBe('user_x')
    expect(JSON.parse(rows[0]!.detail)).toMatchObject({ from, to })
  })

  it('A-17 that was stolen after it retired forges nothing: neither a new end nor an old place', async () => {
    const org = await signedLog(2)
    const [oldKey] = (await stored(org)).map(({ key }) => key)
    const thief = await world.vault.auditSigner(oldKey!)
    await node.rotate('system')
    const trusted = [await current()]
    const [one, two] = await stored(org)
    const forge = (statement: Omit<StoredCheckpoint, 'signature'>): StoredCheckpoint => ({
      ...statement,
      signature: thief.sign(checkpointStatement(statement)),
    })
    const insert = `insert into sallyport.audit_checkpoint (org_id, number, seq, hash, at, previous, key_id, signature) values ($1, $2, $3, $4, $5, $6, $7, $8)`
    const values = ({ org: its, number, seq, hash, at, previous, key, signature }: StoredCheckpoint) => [
      its,
      String(number),
      String(seq),
      hash,
      at,
      previous,
      key,
      signature,
    ]
    const end = forge({ ...two!, number: 3n, previous: checkpointDigest(two!), key: oldKey! })
    await world.tamper(insert, values(end))
    expect(await verify(org, { trusted })).toMatchObject({ intact: false, firstFault: { reason: 'signature' } })
    await world.tamper('delete from sallyport.audit_checkpoint where org_id = $1 and number = 3', [org])
    expect(await verify(org, { trusted })).toMatchObject({ intact: true })
    const rewritten = forge({ ...one!, at: '2020-01-01T00:00:00.000000Z' })
    await world.tamper('delete from sallyport.audit_checkpoint where org_id = $1 and number = 1', [org])
    await world.tamper(insert, values(rewritten))
    expect(await verify(org, { trusted })).toMatchObject({ intact: false, firstFault: { reason: 'checkpoint' } })
    await world.tamper('delete from sallyport.audit_checkpoint where org_id = $1', [org])
    await world.tamper(insert, values(rewritten))
    expect(await verify(org, { trusted })).toMatchObject({ intact: false, firstFault: { reason: 'signature' } })
  })

  it('A-17 signs no more on a node that has not heard of its retirement', async () => {
    const org = await signedLog(1)
    const [{ key }] = (await stored(org)) as [StoredCheckpoint]
    await node.rotate('system')
    await world.append(org, thing(2))
    const late = await world.fresh.asGateway(async (client) => {
      await client.query(`select set_config('sallyport.org', $1, false)`, [org])
      const event = (await client.query(`select seq, hash from sallyport.audit_event order by seq desc limit 1`)).rows[0]
      return client.query('select sallyport.audit_checkpoint_put(3, $1, $2, now(), $3, $4, $5) as done', [
        event.seq,
        event.hash,
        Buffer.alloc(32),
        key,
        Buffer.alloc(64),
      ])
    })
    expect(late.rows).toEqual([{ done: false }])
  })

  it('is one, whoever makes it first, and its seed stands nowhere in the clear', async () => {
    const lone = await auditWorld(inject('postgresUrl'))
    try {
      const nodes = Array.from({ length: 5 }, () => lone.node())
      const org = newId('org')
      await lone.append(org, thing(1))
      await Promise.all(nodes.map((each) => each.checkpoint(org)))
      const keys = await signingKeys(lone)
      expect(keys).toHaveLength(1)
      const rows = await lone.fresh.asSuperuser<{ name: string; sealed: Buffer }>('select name, sealed from sallyport.system_secret')
      expect(rows.map(({ name }) => name)).toContain(`audit_signing_key/${keys[0]!.id}`)
      await Promise.all(nodes.map((each) => each.close()))
    } finally {
      await lone.close()
    }
  })
})

describe('outside the database', () => {
  it('has every checkpoint as a line that anybody can check', async () => {
    const org = await signedLog(2)
    const [one] = await stored(org)
    const lines = (await readFile(world.file, 'utf8')).trimEnd().split('\n')
    expect(lines).toContain(checkpointLine(one!))
    const { byOrganization, unreadable } = await readCheckpoints([linesOf(world.file)], await publicKeys())
    expect(unreadable).toBe(0)
    expect(await verify(org, { outside: byOrganization.get(org)! })).toMatchObject({ intact: true })
  })

  it('tells of a log whose end and checkpoints were taken back together, as a restored backup has it', async () => {
    const org = await signedLog(3)
    await world.append(org, thing(4), thing(5))
    await node.checkpoint(org)
    await world.tamper('delete from sallyport.audit_event where org_id = $1 and seq > 3', [org])
    await world.tamper('delete from sallyport.audit_checkpoint where org_id = $1 and seq > 3', [org])
    await world.tamper(
      'update sallyport.audit_head h set seq = 3, hash = (select e.hash from sallyport.audit_event e where e.org_id = $1 and e.seq = 3) where h.org_id = $1',
      [org],
    )
    // The database agrees with itself; what left it does not.
    expect(await verify(org)).toMatchObject({ intact: true })
    const { byOrganization } = await readCheckpoints([linesOf(world.file)], await publicKeys())
    expect(await verify(org, { outside: byOrganization.get(org)! })).toMatchObject({
      intact: false,
      firstFault: { seq: 5n, reason: 'outside' },
    })
  })

  it('A-10 what can not be written waits, is counted, and is written later; a torn line spoils no other', async () => {
    const file = `${world.file}.torn`
    const slow = world.node({ file })
    const org = await signedLog(1)
    await mkdir(file)
    await world.append(org, thing(2))
    expect(await slow.checkpoint(org)).toBeDefined()
    expect(world.metrics.render()).toContain('sallyport_audit_checkpoints_outside_total{outcome="failed"} 1')
    await rm(file, { recursive: true, maxRetries: 10 })
    await writeFile(file, '{"type":"checkpoint","org":"org_')
    await world.append(org, thing(3))
    expect(await slow.checkpoint(org)).toBeDefined()
    await slow.close()
    const lines = (await readFile(file, 'utf8')).split('\n')
    expect(lines.slice(1)).toEqual([...(await stored(org)).slice(1).map(checkpointLine), ''])
    expect((await readCheckpoints([linesOf(file)], await publicKeys())).unreadable).toBe(1)
  })
})

describe('an export', () => {
  const exported = async (org: OrgId): Promise<string[]> => {
    let text = ''
    const keys = await signingKeys(world)
    const wanted = {
      org,
      through: (await stored(org)).at(-1)!.seq,
      filter: {},
      format: 'jsonl' as const,
      keys,
      opener: world.personal,
      end: node.exportEnd.bind(node),
    }
    for await (const piece of exportText(world.database, wanted, () => undefined)) text += piece
    expect(text.endsWith('\n')).toBe(true)
    return text.slice(0, -1).split('\n')
  }
  async function* lines(of: readonly string[]): AsyncGenerator<string> {
    yield* of
  }

  it('proves itself with nothing but the public key', async () => {
    const org = await signedLog(5)
    await world.append(org, thing(6))
    await node.checkpoint(org)
    const text = await exported(org)
    expect(await verifyExport(lines(text), [await current()])).toMatchObject({
      intact: true,
      org,
      events: 6n,
      checkpoints: 2n,
      vouched: { seq: 6n },
    })
    const stranger = ed25519Signer(Buffer.from(newId('key').slice(0, 32))).publicKey
    expect(await verifyExport(lines(text), [stranger])).toMatchObject({ intact: false, firstFault: { reason: 'signature' } })
  })

  it('G6 has every line that was changed, dropped, doubled, moved or slipped in found', async () => {
    const [org, foreign] = [await signedLog(6), await signedLog(6)]
    const trusted = [await current()]
    const [text, other] = [await exported(org), await exported(foreign)]
    const isFound = async (tampered: readonly string[], what: string): Promise<void> => {
      const verdict = await verifyExport(lines(tampered), trusted)
      expect([what, verdict.intact, verdict.firstFault !== null]).toEqual([what, false, true])
    }
    for (let at = 1; at < text.length; at += 1) {
      await isFound(text.toSpliced(at, 1), `dropped ${at}`)
      await isFound(text.toSpliced(at, 0, text[at]!), `doubled ${at}`)
      await isFound(text.toSpliced(at, 1, other[at]!), `foreign ${at}`).catch((error: unknown) => {
        // The end is the same line everywhere.
        if (text[at] !== other[at]) throw error
      })
      await isFound(text.slice(0, at), `cut at ${at}`)
      if (at + 1 < text.length) await isFound(text.with(at, text[at + 1]!).with(at + 1, text[at]!), `swapped ${at}`)
    }
  })

  it('is not taken for one when it was filtered, is of another version, or is no export', async () => {
    const org = await signedLog(1)
    const text = await exported(org)
    const trusted = [await current()]
    for (const first of [
      text[0]!.replace('"filtered":false', '"filtered":true'),
      text[0]!.replace('"version":2', '"version":3'),
      text[0]!.replace('sallyport-audit-export', 'another'),
      '',
      'seq,at,actor',
    ]) {
      await expect(verifyExport(lines([first, ...text.slice(1)]), trusted)).rejects.toMatchObject({ code: 'export_unreadable' })
    }
    await expect(verifyExport(lines([]), trusted)).rejects.toMatchObject({ code: 'export_unreadable' })
    expect(() => readPublicKey('x')).toThrow(expect.objectContaining({ code: 'export_unreadable' }))
  })
})
