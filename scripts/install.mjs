/**
 * Installs dependencies when the lock file or the platform changed since the last install, and only then. Two processes that start at once
 * install once: a lock folder names the one that does, and a lock whose process is gone is set aside. It never touches what it did not install.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

export class InstallFailed extends Error {
  name = 'InstallFailed'
}

/** Makes sure node_modules is what package-lock.json says. @throws InstallFailed with what to do. */
export async function installIfNeeded(root) {
  const stamp = join(root, 'node_modules', '.sallyport-lock-hash')
  const wanted = lockHash(root)
  if (readIfThere(stamp) === wanted) return
  // Not in node_modules: `npm ci` empties that folder.
  const lock = await takeLock(join(root, '.cache'))
  try {
    if (readIfThere(stamp) === wanted) return
    await npmCi(root, lock)
    writeFileSync(stamp, wanted)
  } finally {
    lock.release()
  }
}

function lockHash(root) {
  const lock = readFileSync(join(root, 'package-lock.json'))
  return createHash('sha256').update(`${process.platform}-${process.arch}\n`).update(lock).digest('hex')
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

async function npmCi(root, lock) {
  console.log('Installing dependencies (first time: about half a minute) ...')
  const started = performance.now()
  // The npm that started us, where one did; its own Node runs it. Development tools are needed even where NODE_ENV says production.
  const npm = process.env.npm_execpath
  const [command, prefix] = npm?.endsWith('.js') ? [process.execPath, [npm]] : ['npm', []]
  const child = spawn(
    command,
    [...prefix, 'ci', '--include=dev', '--include=optional', '--no-fund', '--no-audit', '--no-update-notifier'],
    {
      cwd: root,
      stdio: 'inherit',
    },
  )
  lock.shareWith(child.pid)
  const ticking = setInterval(() => console.log(`  still installing (${seconds(started)}) ...`), 15_000)
  try {
    const code = await new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('exit', resolve)
    })
    if (code !== 0) throw new InstallFailed(`\`npm ci\` failed (exit ${code}); its message is above. Run this again when that is solved.`)
  } catch (error) {
    if (error.code === 'ENOENT') throw new InstallFailed('npm is not on the PATH. Install it with Node from https://nodejs.org.')
    throw error
  } finally {
    clearInterval(ticking)
  }
  console.log(`Installed in ${seconds(started)}.`)
}

function seconds(started) {
  return `${((performance.now() - started) / 1000).toFixed(0)} s`
}

/**
 * Waits until this process holds `<folder>/install.lock`. `release` lets go of it; `shareWith` names a child that holds it too: npm goes on when
 * whoever started it is killed, and nobody else may install until it has ended.
 *
 * The lock folder appears with its `owner` file inside it, in one rename, so it never lacks an owner. A dead owner's lock is renamed to a name
 * made from its own token, and that name stays: of two processes that saw the same dead lock only one rename can succeed, so the slower one
 * cannot set aside the lock that the quicker one has taken since.
 */
async function takeLock(folder) {
  mkdirSync(folder, { recursive: true })
  const lock = join(folder, 'install.lock')
  const token = randomBytes(8).toString('hex')
  let announced = false
  for (;;) {
    if (tryTake(lock, token)) {
      return { release: () => release(lock, token), shareWith: (pid) => writeOwner(lock, { pids: [process.pid, pid], token }) }
    }
    const owner = readOwner(lock)
    if (owner === undefined) continue
    const holder = owner.pids.find(isAlive)
    if (holder === undefined) {
      renameIfPossible(lock, `${lock}.dead-${owner.token}`)
      continue
    }
    if (!announced) console.log(`Process ${holder} is installing already; waiting for it. (If it is not, delete ${lock}.)`)
    announced = true
    await delay(250)
  }
}

function tryTake(lock, token) {
  const mine = `${lock}.${token}`
  mkdirSync(mine)
  writeOwner(mine, { pids: [process.pid], token })
  if (renameIfPossible(mine, lock)) return true
  rmSync(mine, { recursive: true, force: true })
  return false
}

/** Out of the way in one step first: emptied in place, the lock could be taken by another while it is being removed. */
function release(lock, token) {
  renameSync(lock, `${lock}.${token}`)
  rmSync(`${lock}.${token}`, { recursive: true, force: true })
}

function writeOwner(lock, owner) {
  // A child that could not be started has no id, and says so in its error event.
  if (owner.pids.includes(undefined)) return
  writeFileSync(join(lock, 'owner.new'), JSON.stringify(owner))
  renameSync(join(lock, 'owner.new'), join(lock, 'owner'))
}

/** Gives undefined when the lock was let go in the meantime. */
function readOwner(lock) {
  const text = readIfThere(join(lock, 'owner'))
  return text === undefined ? undefined : JSON.parse(text)
}

/** False when the target is there already (it is never empty), or the source is gone. */
function renameIfPossible(from, to) {
  try {
    renameSync(from, to)
    return true
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST', 'EPERM', 'ENOENT'].includes(error.code)) return false
    throw error
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}
