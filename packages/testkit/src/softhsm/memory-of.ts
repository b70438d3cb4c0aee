/** Owns looking for bytes in the memory of another process of ours, as a core dump would show them. Refuses processes that aren't our own children. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

const AT_ONCE = 1 << 24

/** How often each of `needles` stands in what the process `pid` can write to. Linux; read while the process runs. */
export function findInMemory(pid: number, needles: readonly Buffer[]): number[] {
  const counts = needles.map(() => 0)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const { from, to } of writableAreas(pid)) {
      for (let at = from; at < to; at += BigInt(AT_ONCE)) {
        const chunk = readAt(memory, at, Number(to - at))
        needles.forEach((needle, index) => (counts[index]! += occurrences(chunk, needle)))
      }
    }
  } finally {
    closeSync(memory)
  }
  return counts
}

function writableAreas(pid: number): { from: bigint; to: bigint }[] {
  const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? []
    return from === undefined ? [] : [{ from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) }]
  })
}

/** Empty where an area went away meanwhile. */
function readAt(memory: number, at: bigint, left: number): Buffer {
  const chunk = Buffer.allocUnsafe(Math.min(left, AT_ONCE))
  try {
    return chunk.subarray(0, readSync(memory, chunk, 0, chunk.length, at))
  } catch {
    return Buffer.alloc(0)
  }
}

function occurrences(chunk: Buffer, needle: Buffer): number {
  let count = 0
  for (let at = chunk.indexOf(needle); at >= 0; at = chunk.indexOf(needle, at + 1)) count += 1
  return count
}
