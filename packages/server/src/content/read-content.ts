/** Owns opening what is kept of a model call. Refuses to fail for a part whose key was destroyed: it says that it can't be read. */
import { isUtf8 } from 'node:buffer'
import type { RequestId } from '@sallyport/core'
import { storedContentOf } from '../db/index.ts'
import type { Place, StoredContent, TenantTx } from '../db/index.ts'
import { isLost, storedContentPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface ReadPart extends Omit<StoredContent, 'sealed' | 'id' | 'request'> {
  readonly encoding: 'utf-8' | 'base64'
  /** Null: nobody can open it any more. */
  readonly content: string | null
}

/** Every part of a call that is kept, opened; none where nothing is. @throws VaultError while its key can't be had */
export async function readContent(tx: TenantTx, vault: Pick<Vault, 'openIn'>, at: Place, request: RequestId): Promise<ReadPart[]> {
  const parts: ReadPart[] = []
  for (const { sealed, id, request: _, ...row } of await storedContentOf(tx, at, request)) {
    const bytes = await opened(tx, vault, id, sealed)
    const encoding = bytes === undefined || isUtf8(bytes) ? 'utf-8' : 'base64'
    parts.push({ ...row, encoding, content: bytes === undefined ? null : bytes.toString(encoding === 'base64' ? 'base64' : 'utf8') })
  }
  return parts
}

async function opened(tx: TenantTx, vault: Pick<Vault, 'openIn'>, id: string, sealed: Buffer): Promise<Buffer | undefined> {
  try {
    return Buffer.from((await vault.openIn(tx, storedContentPlace(id), sealed)).reveal(), 'base64')
  } catch (error) {
    if (isLost(error)) return undefined
    throw error
  }
}
