/**
 * Owns the credential store that every kind of records becomes: it seals what goes in and opens what comes out. Refuses to work before its
 * keys were held against the ones the store was sealed with.
 */
import { envelopeKeyId, randomToken } from '../crypto/index.ts'
import type { RootKeyring } from '../crypto/index.ts'
import type { CredentialRef, CredentialStore, EndedGrants } from '../tokens/index.ts'
import { proveKeys } from './encryption.ts'
import { once } from './once.ts'
import type { LineageRecords, SealedEntry, SealedVersion } from './records.ts'
import { TokenSealer } from './token-sealer.ts'

/** What `rewrap` needs of a store. */
export interface Rewrappable {
  readonly currentKeyId: string
  /** Everything sealed in the store: see `LineageRecords.everything`. */
  sealedEntries(): AsyncIterable<readonly SealedEntry[]>
  /** Seals an entry under the current key. False when it was under it, or was changed or removed meanwhile. */
  renew(entry: SealedEntry): Promise<boolean>
}

/** A credential store whose tokens are sealed under keys of the application's. */
export interface SealedCredentialStore extends CredentialStore, EndedGrants, Rewrappable {}

const INTENT_BYTES = 16
const MAX_NAME = 512
/** Rewritings on touch that are remembered, so that two processes with different current keys don't rewrite each other's for ever. */
const MAX_TOUCHED = 10_000

export function createSealedStore(records: LineageRecords, keys: RootKeyring): SealedCredentialStore {
  const sealer = new TokenSealer(keys)
  const prepared = once(async () => {
    await records.prepare()
    await proveKeys(keys, records)
  })
  const ready = async (ref?: CredentialRef): Promise<void> => {
    if (ref !== undefined) requireNames(ref)
    await prepared()
  }
  const touched = new Set<string>()

  /** Never fails the read that touched it: the version opens with the key it has. */
  async function renewTouched(ref: CredentialRef, { seq, sealed }: SealedVersion): Promise<void> {
    if (envelopeKeyId(sealed) === sealer.currentKeyId) return
    const name = JSON.stringify([ref.scope, ref.id, String(seq)])
    if (touched.has(name)) return
    if (touched.size >= MAX_TOUCHED) touched.clear()
    touched.add(name)
    try {
      await renew({ ref, at: { seq }, sealed })
    } catch {
      touched.delete(name)
    }
  }

  async function renew(entry: SealedEntry): Promise<boolean> {
    const sealed = sealer.renewed(entry)
    return sealed !== undefined && records.replace(entry.ref, entry.at, entry.sealed, sealed)
  }

  return {
    get durability() {
      return records.durability
    },
    currentKeyId: sealer.currentKeyId,

    async read(ref) {
      await ready(ref)
      const state = await records.read(ref)
      if (state === undefined) return undefined
      const head = sealer.openVersion(ref, state.head)
      void renewTouched(ref, state.head)
      return { ...state, head }
    },

    async connect(ref, tokens) {
      await ready(ref)
      return records.connect(ref, sealer.version(ref, tokens))
    },

    async begin(ref, from, made) {
      await ready(ref)
      const begun = await records.begin(ref, from, { ...made, id: randomToken(INTENT_BYTES) })
      if (begun === undefined) return undefined
      const { intent } = begun
      const answer = { ref, intent: intent.id, generation: intent.generation, parentSeq: intent.parentSeq }
      return { intent, parent: sealer.openVersion(ref, begun.parent), seal: (text) => sealer.sealAnswer(answer, text) }
    },

    async save(ref, { tokens, ...answer }) {
      await ready(ref)
      return records.save(ref, answer, sealer.version(ref, tokens))
    },

    async withdraw(ref, intent, failure) {
      await ready(ref)
      return records.withdraw(ref, intent, failure)
    },

    async doubt(ref, intent, failure, answer) {
      await ready(ref)
      return records.doubt(ref, intent, failure, answer && sealer.sealUnread(ref, intent, answer))
    },

    async end(ref, at, status, trouble) {
      await ready(ref)
      return records.end(ref, at, status, trouble)
    },

    async siblings(ref) {
      await ready(ref)
      const lineage = await records.lineage(ref)
      if (lineage === undefined) return []
      return lineage.others.map((version) => sealer.openVersion(ref, version)).filter(({ tokens }) => tokens.refreshToken !== null)
    },

    async openSpilled(answer) {
      await ready()
      return sealer.openAnswer(answer)
    },

    async interrupted(limit) {
      await ready()
      return records.interrupted(limit)
    },

    async idle(unusedSince, limit) {
      await ready()
      return records.idle(unusedSince, limit)
    },

    async ended(scopes, limit) {
      await ready()
      return records.ended(scopes, limit)
    },

    async endedCount(atMost) {
      await ready()
      return records.endedCount(atMost)
    },

    async putOff(ref, generation, restMs) {
      await ready(ref)
      return records.putOff(ref, generation, restMs)
    },

    async prune(before) {
      await ready()
      return records.prune(before)
    },

    async remove(ref, generation) {
      await ready(ref)
      return records.remove(ref, generation)
    },

    sealedEntries: () => records.everything(),

    async renew(entry) {
      await ready()
      return renew(entry)
    },

    onChange: (listener) => records.onChange(listener),
    close: () => records.close(),
  }
}

/**
 * Names are part of keys and of what is sealed.
 * @throws TypeError for names that no store could keep: empty, over 512 bytes, with a NUL, or not well-formed.
 */
function requireNames({ scope, id }: CredentialRef): void {
  for (const name of [scope, id]) {
    if (typeof name !== 'string' || name === '' || Buffer.byteLength(name) > MAX_NAME || name.includes('\0') || !name.isWellFormed()) {
      throw new TypeError(`a credential's scope and id are texts of 1 to ${MAX_NAME} bytes`)
    }
  }
}
