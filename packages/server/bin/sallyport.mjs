#!/usr/bin/env node
/**
 * The `sallyport` command on any Node from 20 on: hands over to Node 24, which runs the sources as they are. Owns finding that Node and
 * nothing else; refuses to go on with an older one.
 */
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const NEEDED = 24
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const args = ['--disable-warning=ExperimentalWarning', main, ...process.argv.slice(2)]

const node = suitableNode()
if (node === undefined) {
  process.stderr.write(
    `sallyport: needs Node ${NEEDED} or newer; this is ${process.version}, and none was installed beside it. Run npm ci, or use a newer Node.\n`,
  )
  process.exitCode = 4
} else {
  run(node)
}

/** This Node when it is new enough, or the one that the packages bring along. */
function suitableNode() {
  if (Number(process.versions.node.split('.', 1)[0]) >= NEEDED) return process.execPath
  try {
    const manifest = createRequire(import.meta.url).resolve(`node-${process.platform}-${process.arch}/package.json`)
    return join(dirname(manifest), 'bin', 'node')
  } catch {
    // No such package for this platform, or it was left out of the installation: the caller says so.
    return undefined
  }
}

function run(file) {
  const child = spawn(file, args, { stdio: 'inherit' })
  // A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone is handed on.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => child.kill('SIGTERM'))
  child.on('error', (error) => {
    process.stderr.write(`sallyport: ${file} can't be run (${error.code ?? error.name}).\n`)
    process.exitCode = 4
  })
  child.on('exit', (code) => (process.exitCode = code ?? 1))
}
