/** Owns installing what the suite needs where it may: as root on Debian. Refuses to start the services that such packages bring, and to guess elsewhere. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { findProgram } from './find-program.ts'

export type Progress = (message: string) => void

/**
 * Installs Debian packages with `apt-get`, reporting each step.
 * @throws Error naming the packages and the exact command when this is not root on Debian (or a descendant), or when apt-get fails.
 */
export async function installDebianPackages(names: readonly string[], onProgress: Progress = () => {}): Promise<void> {
  const command = `apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`
  const aptGet = await findProgram(['apt-get'])
  if (process.getuid?.() !== 0 || aptGet === undefined || !(await isDebian())) {
    throw new Error(
      `The tests need ${names.join(', ')}. On Debian run as root: ${command}\nElsewhere install the same programs by the system's own means.`,
    )
  }
  const lock = ['-o', 'DPkg::Lock::Timeout=300']
  await withServicesHeldBack(async () => {
    await aptStep(aptGet, [...lock, 'update'], command, onProgress)
    await aptStep(aptGet, [...lock, 'install', '-y', '--no-install-recommends', ...names], command, onProgress)
  })
}

/** True as root on that release of Debian itself. */
export async function mayInstallOn(release: string): Promise<boolean> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return process.getuid?.() === 0 && /^ID=debian$/m.test(text) && text.includes(`VERSION_ID="${release}"`)
}

async function isDebian(): Promise<boolean> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '')
  return /^ID(_LIKE)?=.*\bdebian\b/m.test(text)
}

const POLICY = '/usr/sbin/policy-rc.d'

/** Debian starts a server as soon as it is installed. Its documented veto is a program at this path that exits with 101; one that exists is respected. */
async function withServicesHeldBack(install: () => Promise<void>): Promise<void> {
  const made = await writeFile(POLICY, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' }).then(
    () => true,
    () => false,
  )
  try {
    await install()
  } finally {
    if (made) await rm(POLICY, { force: true })
  }
}

const STEPS = /^(Get:\d+|Fetched|Unpacking|Setting up)\b/

async function aptStep(aptGet: string, args: string[], command: string, onProgress: Progress): Promise<void> {
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' }
  const child = spawn(aptGet, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const errors: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    if (STEPS.test(line)) onProgress(line)
  })
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`apt-get ended with ${code}. Run by hand as root: ${command}\n${errors.slice(-10).join('\n')}`)
}
