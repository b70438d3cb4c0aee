/** What organizations that ask for it keep of model calls: prompts, answers, or both. */
export { createContentLog } from './content-log.ts'
export type { ContentLog, ContentLogOptions, HeardPart } from './content-log.ts'
export { readContent } from './read-content.ts'
export type { ReadPart } from './read-content.ts'
export { listeningCalls, listeningMeter, MAX_PART_BYTES } from './tap.ts'
export { createWishes } from './wishes.ts'
export type { Wish, Wishes, WishesOptions } from './wishes.ts'
