/**
 * Owns root keys in a mounted folder, in the layout of a Kubernetes Secret: one file, `root-keys`, which may be a link that the kubelet turns
 * to a new folder (`..data`) as a whole. Refuses to write.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { KeySourceError } from '../crypto/index.ts'
import { Secret } from '../kernel/index.ts'
import { sourceOf } from './source.ts'
import type { RootKeySource } from './source.ts'

/** The name of the file, and the Secret's key. */
const FILE = 'root-keys'

/** `everyMs`: how often a change is looked for. Read and not watched: not every kind of mount tells of its changes. */
export function folderSource(path: string, everyMs: number): RootKeySource {
  return sourceOf('the mounted folder', everyMs, async () => {
    try {
      return new Secret((await readFile(join(path, FILE), 'utf8')).trim())
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown fault'
      throw new KeySourceError('key_source_unavailable', `the mounted folder has no readable file ${FILE} (${code})`)
    }
  })
}
