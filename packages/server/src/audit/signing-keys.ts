/**
 * Owns which key signs checkpoints, and the change to the next. Refuses a second key that signs: of several makers one wins, and all use
 * its key. A retired key signs nothing any more; what it signed is vouched for by the checkpoints after it.
 */
import { randomBase62 } from '@sallyport/core'
import type { Ed25519Signer } from '@sallyport/core'
import { auditSigningKeyList, auditSigningKeyPut } from '../db/index.ts'
import type { AuditSigningKey, Database } from '../db/index.ts'
import { appendAudit } from './event.ts'
import { INSTALLATION } from './installation.ts'

export interface SigningKeysOptions {
  readonly database: Pick<Database, 'withTenant'>
  /** The key under a name; made and sealed on first use. */
  readonly signer: (id: string) => Promise<Ed25519Signer>
}

export interface CurrentSigner {
  readonly id: string
  readonly signer: Ed25519Signer
}

const ID_DIGITS = 16

/** Every public key of the installation, oldest first. */
export function signingKeys({ database }: Pick<SigningKeysOptions, 'database'>): Promise<AuditSigningKey[]> {
  return database.withTenant(INSTALLATION, auditSigningKeyList)
}

/** The key that signs. The installation's first is made here. */
export async function currentSigner(options: SigningKeysOptions): Promise<CurrentSigner> {
  const current = (await signingKeys(options)).find(isCurrent)
  if (current === undefined) {
    await replaceSigner(options, null, 'system')
    return currentSigner(options)
  }
  const signer = await options.signer(current.id)
  return { id: current.id, signer }
}

/**
 * Makes the next key, in one transaction with its event in the installation's log. Undefined when another was faster: then that one's signs.
 * @param replaces id of the key that signs now; null for none
 */
export async function replaceSigner(options: SigningKeysOptions, replaces: string | null, actor: string): Promise<string | undefined> {
  const id = randomBase62(ID_DIGITS)
  const { publicKey } = await options.signer(id)
  const detail = { from: replaces, to: id, public_key: publicKey.toString('base64url') }
  return options.database.withTenant(INSTALLATION, async (tx) => {
    if (!(await auditSigningKeyPut(tx, { id, publicKey }, replaces))) return undefined
    await appendAudit(tx, { action: 'audit_key.rotated', actor, target: id, detail })
    return id
  })
}

export function isCurrent({ retiredAt }: AuditSigningKey): boolean {
  return retiredAt === null
}
