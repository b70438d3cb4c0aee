import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { keySourceSuite } from '../../../testkit/src/suites/index.ts'
import { folderSource } from '../../src/keysources/index.ts'

/** A Secret as the kubelet mounts it: the file is a link through `..data`, which is turned to a new folder as a whole. */
async function mountedSecret() {
  const folder = await mkdtemp(join(tmpdir(), 'sallyport-secret-'))
  let count = 0
  /** To a folder with this text, or with none. */
  const turn = async (text?: string): Promise<void> => {
    const version = `..version-${(count += 1)}`
    await mkdir(join(folder, version))
    if (text !== undefined) await writeFile(join(folder, version, 'root-keys'), text)
    await symlink(version, join(folder, '..data_new'))
    await rename(join(folder, '..data_new'), join(folder, '..data'))
  }
  await symlink(join('..data', 'root-keys'), join(folder, 'root-keys'))
  return { folder, turn, remove: () => rm(folder, { recursive: true, maxRetries: 10 }) }
}

keySourceSuite(
  'a mounted folder',
  async () => {
    const secret = await mountedSecret()
    let text = ''
    return {
      source: folderSource(secret.folder, 5),
      publish: (next) => secret.turn((text = next)),
      failures: {
        'the file is gone': { fail: () => secret.turn(), heal: () => secret.turn(text) },
        'nothing is mounted': { fail: () => unlink(join(secret.folder, '..data')), heal: () => secret.turn(text) },
      },
      refusals: {},
      close: secret.remove,
    }
  },
  { failures: ['the file is gone', 'nothing is mounted'], refusals: [] },
)

describe('a mounted folder', () => {
  it('C-01 whose file is a folder, or whose name is longer than the system takes, gives nothing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sallyport-secret-'))
    await mkdir(join(folder, 'root-keys'))
    const away = { code: 'key_source_unavailable' }
    await expect(folderSource(folder, 5).load()).rejects.toMatchObject({ ...away, message: expect.stringContaining('EISDIR') as string })
    await expect(folderSource(`/${'x'.repeat(5000)}`, 5).load()).rejects.toMatchObject(away)
    await rm(folder, { recursive: true, maxRetries: 10 })
  })

  it('is named by no path when it fails', async () => {
    const error: unknown = await folderSource('/nowhere/at/all', 5)
      .load()
      .catch((caught: unknown) => caught)
    expect(String(error)).toContain('ENOENT')
    expect(String(error)).not.toContain('nowhere')
  })
})
