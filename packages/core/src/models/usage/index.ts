/** What model calls use, read from their answers. */
export { callKind, cleanModel, modelOfPath, plainPath } from './call.ts'
export type { CallKind } from './call.ts'
export { BYTES_PER_TOKEN, usageReader } from './reader.ts'
export type { AnsweredCall, Usage, UsageEnd, UsageReader, UsageReading } from './reader.ts'
