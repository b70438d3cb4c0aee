/** Runs the steps of a task one after another, says what it does while it does it, and how long it took. Output of a step that went well is not shown. */
import { spawn } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)))

export interface Command {
  /** A script to run under the current Node, as a path from the repository's root. */
  script?: string
  /** A program to run, as a path from the root. Exactly one of the two. */
  program?: string
  args: string[]
  cwd?: string
  /** `show`: everything goes to the terminal as it comes. `on-failure`: only when the command fails. */
  output: 'show' | 'on-failure'
}

/** Runs one command and gives its exit code; a signal counts as 1. @throws Error when it cannot be started. */
export async function runCommand(command: Command): Promise<number> {
  const [file, args] =
    command.script === undefined
      ? [join(ROOT, command.program ?? ''), command.args]
      : [process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, command.script), ...command.args]]
  const held: Buffer[] = []
  const child = spawn(file, args, { cwd: command.cwd ?? ROOT, stdio: command.output === 'show' ? 'inherit' : ['ignore', 'pipe', 'pipe'] })
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => held.push(chunk))
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exit) => resolve(exit ?? 1))
  })
  if (code !== 0) process.stdout.write(Buffer.concat(held))
  return code
}

/** Runs `work` under a progress line. Gives what it gives; an error is passed on after its line. */
export async function step<T>(title: string, work: () => Promise<T>, ok: (result: T) => boolean): Promise<T> {
  const started = performance.now()
  console.log(`> ${title} ...`)
  try {
    const result = await work()
    console.log(`  ${title}: ${ok(result) ? 'ok' : 'FAILED'} (${since(started)})`)
    return result
  } catch (error) {
    console.log(`  ${title}: FAILED (${since(started)})`)
    throw error
  }
}

/** A step that is one command. Gives whether it exited with 0. */
export async function commandStep(title: string, command: Command): Promise<boolean> {
  return (
    (await step(
      title,
      () => runCommand(command),
      (code) => code === 0,
    )) === 0
  )
}

export function since(started: number): string {
  return `${((performance.now() - started) / 1000).toFixed(1)} s`
}
