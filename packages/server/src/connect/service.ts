/** Owns the face of connecting that the rest of the server sees. */
import type { FastifyInstance } from 'fastify'
import type { ConnectSessionId } from '@sallyport/core'
import type { Connection } from '../db/index.ts'
import type { Principal } from '../identity/index.ts'
import { completeSession } from './completion.ts'
import type { Confirmation } from './completion.ts'
import { connectContext } from './options.ts'
import type { ConnectOptions } from './options.ts'
import { registerPages } from './pages.ts'
import { createSession, getSession } from './session.ts'
import type { ConnectPlace, ConnectSessionInput, ConnectSessionView } from './session.ts'
import { createSweep } from './sweep.ts'

/** Callers have been let in by access rules already; what a key is bound to is judged here. */
export interface ConnectService {
  /**
   * Begins to connect an end user. `link` is shown once: only its hash is stored.
   * @throws ConnectError `not_found`, `return_to_refused`, `integration_not_configured`, `overloaded`.
   */
  createSession(
    principal: Principal,
    place: ConnectPlace,
    input: ConnectSessionInput,
  ): Promise<{ readonly session: ConnectSessionView; readonly link: string }>
  /** @throws ConnectError `not_found` */
  getSession(principal: Principal, place: ConnectPlace, id: ConnectSessionId): Promise<ConnectSessionView>
  /** See `completeSession`. */
  complete(principal: Principal, place: ConnectPlace, id: ConnectSessionId, confirmation: Confirmation): Promise<Connection>
  /** GET and POST /connect/:token, GET /oauth/cb/:context. */
  registerPages(app: FastifyInstance): void
  /** Clears what expired, of every tenant; to be called every minute or so. @throws DatabaseError */
  sweepExpired(): Promise<void>
}

export function createConnectService(options: ConnectOptions): ConnectService {
  const context = connectContext(options)
  return {
    createSession: (principal, place, input) => createSession(context, principal, place, input),
    getSession: (principal, place, id) => getSession(context, principal, place, id),
    complete: (principal, place, id, confirmation) => completeSession(context, principal, place, id, confirmation),
    registerPages: (app) => registerPages(context, app),
    sweepExpired: createSweep(context),
  }
}
