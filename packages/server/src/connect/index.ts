/** Connecting accounts: sessions, the hosted page, the callback, the application's confirmation, and the clearing of what was left. */
export { createConnectService } from './service.ts'
export type { ConnectService } from './service.ts'
export { CONNECT_LIMITS } from './options.ts'
export type { ConnectLimits, ConnectOptions } from './options.ts'
export type { ConnectPlace, ConnectSessionInput, ConnectSessionView } from './session.ts'
export type { Confirmation } from './completion.ts'
export { ConnectError } from './errors.ts'
export type { ConnectErrorCode } from './errors.ts'
