/** Events that providers send: whom they may be about, whether they are true, and what ends because of them. */
export { createEventService } from './service.ts'
export type { EventService, EventServiceOptions } from './service.ts'
export type { EventSources, MadeSource, NewSource } from './sources.ts'
export { EventError } from './errors.ts'
export type { EventErrorCode } from './errors.ts'
