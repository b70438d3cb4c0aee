/**
 * Owns a running device process as the gateway sees it: started bare, asked one question at a time, ended by force. Refuses a module that someone
 * else on the machine could have written.
 */
import { spawn } from 'node:child_process'
import { realpath, stat } from 'node:fs/promises'
import { dirname, extname, isAbsolute } from 'node:path'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { KeySourceError } from '../../crypto/index.ts'
import { FrameReader } from './frames.ts'
import type { Frame } from './frames.ts'

/** The process that the module lives in: one question at a time. */
export interface DeviceProcess {
  readonly pid: number | undefined
  /**
   * Sends one question, wipes it, and gives its answer. The next one may follow only then.
   * @throws KeySourceError `key_source_unavailable` when the process ends or says what is no answer.
   */
  ask(question: Buffer): Promise<Frame>
  /** SIGKILL. Resolves when it is gone. Idempotent. */
  end(): Promise<void>
}

/** Beside this file, compiled as it is. */
const PROGRAM = fileURLToPath(new URL(`device-process${extname(import.meta.url)}`, import.meta.url))
const CHANNEL = 3
const OTHERS_MAY_WRITE = 0o002
const STICKY = 0o1000

/**
 * @param environment what the module finds its own configuration by. Nothing of ours belongs in it.
 * @param program another copy of `device-process`, in tests
 */
export function startDeviceProcess(environment: Readonly<Record<string, string | undefined>>, program = PROGRAM): DeviceProcess {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', program], {
    // One thread for the module's calls: some keep what they know of a caller by its thread.
    env: { ...environment, UV_THREADPOOL_SIZE: '1', NODE_OPTIONS: undefined },
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
    cwd: '/',
    // Ctrl-C in a terminal is for the gateway, which ends this one itself.
    detached: true,
  })
  // Without file descriptors to spare there are no pipes at all; `error` follows.
  const channel = (child.stdio as (typeof child)['stdio'] | undefined)?.[CHANNEL] as Duplex | undefined
  const reader = new FrameReader()
  let waiting: PromiseWithResolvers<Frame> | undefined
  let over: KeySourceError | undefined

  const settle = (): PromiseWithResolvers<Frame> | undefined => {
    const settled = waiting
    waiting = undefined
    return settled
  }
  const fail = (why: string): void => {
    over ??= new KeySourceError('key_source_unavailable', `the process of the PKCS#11 module ${why}`)
    settle()?.reject(over)
    child.kill('SIGKILL')
  }
  const gone = new Promise<void>((resolve) => {
    child.once('exit', (code, signal) => {
      fail(`ended (${signal ?? code})`)
      resolve()
    })
    child.once('error', () => {
      fail('could not be started')
      resolve()
    })
  })
  channel?.on('error', () => fail('does not listen any more'))
  channel?.on('data', (chunk: Buffer) => {
    try {
      for (const frame of reader.read(chunk)) settle()?.resolve(frame)
    } catch {
      fail('said what is no answer')
    }
  })
  return {
    pid: child.pid,
    ask(question) {
      if (over !== undefined) {
        question.fill(0)
        return Promise.reject(over)
      }
      const asked = (waiting = Promise.withResolvers<Frame>())
      channel?.write(question, () => question.fill(0))
      return asked.promise
    },
    async end() {
      fail('was ended')
      await gone
    },
  }
}

/** @throws KeySourceError `key_source_refused` for a path that is relative, absent, no file, or writable by everybody, itself or its folder. */
export async function requireOwnModule(path: string): Promise<void> {
  if (!isAbsolute(path)) throw refused('must be named by an absolute path')
  const file = await realpath(path).catch(() => undefined)
  if (file === undefined) throw refused('is not there')
  const [own, folder] = await Promise.all([stat(file), stat(dirname(file))])
  if (!own.isFile()) throw refused('is no file')
  const replaceable = (folder.mode & OTHERS_MAY_WRITE) !== 0 && (folder.mode & STICKY) === 0
  if ((own.mode & OTHERS_MAY_WRITE) !== 0 || replaceable) throw refused('can be written by every user of this machine')
}

function refused(what: string): KeySourceError {
  return new KeySourceError('key_source_refused', `the PKCS#11 module ${what}`)
}
