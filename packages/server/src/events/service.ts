/** Owns the face of incoming events that the rest of the server sees. */
import type { FastifyInstance } from 'fastify'
import { hasCode } from '@sallyport/core'
import type { Provider } from '@sallyport/core'
import type { Database } from '../db/index.ts'
import { createEventReceiver } from './receiver.ts'
import type { ReceiverOptions } from './receiver.ts'
import { registerEventRoutes } from './routes.ts'
import { createEventSources } from './sources.ts'
import type { EventSources } from './sources.ts'

export interface EventServiceOptions extends ReceiverOptions {
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly providers: (id: string) => Provider | undefined
  readonly loopbackOrigins: boolean
}

export interface EventService {
  readonly sources: EventSources
  /** POST /events/in/:context. */
  registerRoutes(app: FastifyInstance): void
  /** Forgets old receipts; to be called now and then. Never rejects. */
  sweep(): Promise<void>
}

const BATCH = 1_000

export function createEventService(options: EventServiceOptions): EventService {
  const receiver = createEventReceiver(options)
  return {
    sources: createEventSources(options),
    registerRoutes: (app) => registerEventRoutes(app, receiver),
    async sweep() {
      try {
        while ((await options.database.lookups.eventReceiptSweep(BATCH)) === BATCH);
      } catch (error) {
        if (!hasCode(error, 'database_unavailable')) options.logger.warn('Old receipts of events could not be cleared', { error })
      }
    },
  }
}
