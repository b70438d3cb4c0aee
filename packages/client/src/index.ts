/** The typed client of the control plane, inferred from the contract. */
export { createClient } from './client.ts'
export type { CallOptions, Client, ClientOptions, Input, Item, ListName, Output } from './client.ts'
export { inEnvironment } from './environment.ts'
export type { EnvironmentAddress } from './environment.ts'
export { SallyportAnswerError, SallyportApiError } from './errors.ts'
