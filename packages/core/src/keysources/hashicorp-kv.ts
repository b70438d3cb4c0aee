/** Owns root keys that are text in the KV engine, version 2, of HashiCorp Vault or OpenBao: the field `root-keys` of one path. Refuses version 1. */
import * as z from 'zod'
import { Secret } from '../kernel/index.ts'
import type { HashicorpClient } from './hashicorp-client.ts'
import { sourceOf } from './source.ts'
import type { RootKeySource } from './source.ts'

const answer = z.object({ data: z.object({ 'root-keys': z.string().min(1) }), metadata: z.object({ version: z.int().min(1) }) })

/** Root keys from the member `root-keys` of a secret of the KV engine, version 2. `everyMs`: milliseconds between two readings. */
export function kvSource(client: HashicorpClient, at: { readonly mount: string; readonly path: string }, everyMs: number): RootKeySource {
  return sourceOf('HashiCorp Vault', everyMs, async () => {
    const { data } = await client.call(`${at.mount}/data/${at.path}`, answer)
    return new Secret(data['root-keys'].trim())
  })
}
