import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'

/** Runs `code` with the folder's exports as `o` in a process of its own. */
function run(code: string): { readonly stdout: string; readonly stderr: string } {
  const folder = new URL('index.ts', import.meta.url).href
  const { stdout, stderr, status } = spawnSync(process.execPath, ['--input-type=module', '-e', `import * as o from '${folder}'; ${code}`], {
    encoding: 'utf8',
  })
  expect(status).toBe(0)
  return { stdout, stderr }
}

describe('standard streams', () => {
  it('take each record of a logger without a writer of its own as one line on standard output', () => {
    const { stdout, stderr } = run(
      "const l = o.createLogger({ level: 'info', format: 'json' }); l.info('one', { text: 'a\\nb' }); l.error('two')",
    )
    const messages = stdout.split('\n').map((line) => (line === '' ? line : (JSON.parse(line) as { message: string }).message))
    expect([messages, stderr]).toEqual([['one', 'two', ''], ''])
  })

  it('take a line as it is, each on its own stream', () => {
    expect(run("o.writeLine('shown once: k'); o.writeLine('refused', 'stderr')")).toEqual({
      stdout: 'shown once: k\n',
      stderr: 'refused\n',
    })
  })
})
