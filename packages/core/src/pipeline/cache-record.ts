/** Owns the form of a kept answer: one line of JSON, then the body's bytes. Refuses another version's, and what is damaged: they are as absent. */

export interface KeptAnswer {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  /** When the call that brought or confirmed it was sent and answered, by wall time. Milliseconds. */
  readonly requestedAt: number
  readonly receivedAt: number
  readonly body: Uint8Array
}

/** Stands where a URL's answers are told apart by headers of the call: the lower-case names of these. */
export interface VaryNote {
  readonly vary: readonly string[]
  /** Of this note and those that took its place; what was kept under an earlier one, which was forgotten, is not found again. */
  readonly epoch: string
}

const VERSION = 2
const NEWLINE = 10

export function writeRecord(record: KeptAnswer | VaryNote): Uint8Array {
  if ('vary' in record) return Buffer.from(`${JSON.stringify({ v: VERSION, ...record })}\n`)
  const { body, ...head } = record
  return Buffer.concat([Buffer.from(`${JSON.stringify({ v: VERSION, ...head })}\n`), body])
}

export function readRecord(bytes: Uint8Array): KeptAnswer | VaryNote | undefined {
  const end = bytes.indexOf(NEWLINE)
  if (end < 0) return undefined
  try {
    const head = JSON.parse(Buffer.from(bytes.subarray(0, end)).toString()) as Partial<KeptAnswer & VaryNote & { v: unknown }> | null
    if (head?.v !== VERSION) return undefined
    if (Array.isArray(head.vary) && typeof head.epoch === 'string') return { vary: head.vary, epoch: head.epoch }
    const { status, headers, requestedAt, receivedAt } = head
    if (!Array.isArray(headers) || status === undefined || requestedAt === undefined || receivedAt === undefined) return undefined
    return { status, headers, requestedAt, receivedAt, body: bytes.subarray(end + 1) }
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
