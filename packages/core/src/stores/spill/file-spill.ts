/**
 * Owns answers that wait in a folder of this machine until they can be saved. Refuses to be faster than the disk: what was put is there after
 * a crash. Refuses to delete what it can't read.
 */
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { randomToken } from '../../crypto/index.ts'
import type { Spill, SpilledAnswer } from '../../tokens/index.ts'
import { answerName, readAnswer, writeAnswer } from './answer-text.ts'
import type { SpillOptions } from './answer-text.ts'

const ENDING = '.answer'
/** What a crash in the midst of writing leaves behind; it was never acknowledged. */
const UNFINISHED = '.writing'

/** Sealed answers in files that are synced to the disk, for when no store takes them. */
export class FileSpill implements Spill {
  readonly #folder: string
  readonly #onUnreadable: (name: string) => void

  /** The folder is made when it is needed; it and what is in it are for this user's eyes only. It has to be on a disk of this machine. */
  constructor(folder: string, { onUnreadable = () => undefined }: SpillOptions = {}) {
    this.#folder = folder
    this.#onUnreadable = onUnreadable
  }

  /** @throws the file system's own errors. */
  async put(answer: SpilledAnswer): Promise<void> {
    await this.#makeFolder()
    const name = join(this.#folder, answerName(answer))
    const unfinished = `${name}.${randomToken(16)}${UNFINISHED}`
    await writeThrough(unfinished, writeAnswer(answer))
    await rename(unfinished, `${name}${ENDING}`)
    await this.#writeFolderThrough()
  }

  /** A folder that was just made is in its parent, and its parent perhaps in another, all of which may not be on the disk yet. */
  async #makeFolder(): Promise<void> {
    const first = await mkdir(this.#folder, { recursive: true, mode: 0o700 })
    if (first === undefined) return
    for (let made = resolve(this.#folder); ; made = dirname(made)) {
      await synced(await open(dirname(made), 'r'))
      if (made === resolve(first)) return
    }
  }

  async list(): Promise<readonly SpilledAnswer[]> {
    const names = (await this.#names()).filter((name) => name.endsWith(ENDING))
    const answers: SpilledAnswer[] = []
    for (const name of names.toSorted()) {
      const answer = await this.#read(name)
      if (answer !== undefined) answers.push(answer)
    }
    return answers
  }

  async remove(answer: SpilledAnswer): Promise<void> {
    await rm(join(this.#folder, `${answerName(answer)}${ENDING}`), { force: true })
    await this.#writeFolderThrough()
  }

  async #names(): Promise<string[]> {
    try {
      return await readdir(this.#folder)
    } catch (error) {
      if (isAbsent(error)) return []
      throw error
    }
  }

  async #read(name: string): Promise<SpilledAnswer | undefined> {
    try {
      const answer = readAnswer(await readFile(join(this.#folder, name), 'utf8'))
      if (answer === undefined) this.#onUnreadable(name)
      return answer
    } catch (error) {
      // Saved and removed by another process since the folder was read.
      if (!isAbsent(error)) this.#onUnreadable(name)
      return undefined
    }
  }

  async #writeFolderThrough(): Promise<void> {
    try {
      await synced(await open(this.#folder, 'r'))
    } catch (error) {
      if (!isAbsent(error)) throw error
    }
  }
}

async function writeThrough(path: string, text: string): Promise<void> {
  await synced(await open(path, 'wx', 0o600), text)
}

/** Writes through to the disk, and closes whatever happens. */
async function synced(handle: FileHandle, text?: string): Promise<void> {
  try {
    if (text !== undefined) await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
