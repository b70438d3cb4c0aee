/**
 * Completes package-lock.json after a dependency was added: `node scripts/complete-lock.mjs`. A registry that serves only this platform's
 * packages leaves the binaries of the others out of the lock, and `npm ci` then refuses it. Their exact versions stand in their parents'
 * manifests, and their platforms in their names; they are entered from there, without an integrity, which npm takes from the registry on
 * the platforms that use them. Refuses to touch anything else, and to leave a download address in the file.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const FILE = join(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../package-lock.json')
const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'openharmony', 'win32', 'aix', 'sunos']
const PROCESSORS = ['arm64', 'arm', 'x64', 'ppc64', 'riscv64', 's390x', 'ia32']

const lock = JSON.parse(readFileSync(FILE, 'utf8'))
const added = Object.entries(lock.packages).flatMap(([path, entry]) =>
  Object.entries(entry.optionalDependencies ?? {})
    .filter(([name]) => !isInstalled(path, name) && platformOf(name) !== undefined)
    .map(([name, version]) => [`node_modules/${name}`, platformEntry(name, version, entry.dev === true)]),
)
lock.packages = Object.fromEntries(
  Object.entries({ ...lock.packages, ...Object.fromEntries(added) })
    .map(([path, entry]) => [path, withoutAddress(entry)])
    .sort(([a], [b]) => a.localeCompare(b, 'en')),
)
writeFileSync(FILE, `${JSON.stringify(lock, undefined, 2)}\n`)
console.log(`${added.length} entries added.`)

/** Whether `name` resolves from the package at `path`, as node looks for it. */
function isInstalled(path, name) {
  for (let base = path; ; base = base.slice(0, Math.max(0, base.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${base === '' ? '' : `${base}/`}node_modules/${name}`] !== undefined) return true
    if (base === '') return false
  }
}

/** Undefined for what belongs to no platform (`wasm32-wasi`); npm doesn't miss those. */
function platformOf(name) {
  const words = name.split('/').pop().split('-')
  const os = SYSTEMS.find((it) => words.includes(it))
  const cpu = PROCESSORS.find((it) => words.includes(it))
  if (os === undefined || cpu === undefined) return undefined
  const libc = words.some((word) => word.startsWith('musl'))
    ? ['musl']
    : words.some((word) => word.startsWith('gnu'))
      ? ['glibc']
      : undefined
  return { cpu: [cpu], os: [os], ...(os === 'linux' && libc ? { libc } : {}) }
}

function platformEntry(name, version, dev) {
  if (!/^\d+\.\d+\.\d+\S*$/u.test(version)) throw new Error(`${name}@${version} is no exact version`)
  return { version, ...platformOf(name), ...(dev ? { dev: true } : {}), optional: true }
}

/** `resolved` of a link is a folder of this workspace; of anything else it is where a registry keeps it. */
function withoutAddress({ resolved, ...entry }) {
  return entry.link === true ? { resolved, ...entry } : entry
}
