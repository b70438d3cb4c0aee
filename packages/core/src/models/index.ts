/** Model providers as data. */
export { credentialFault, maskedCredential } from './credential.ts'
export { eventStream } from './event-stream.ts'
export type { EventStream, EventStreamErrorCode, ServerSentEvent } from './event-stream.ts'
export { declaredModelProvider, modelProvidersWith } from './declared.ts'
export type { DeclaredModelProvider } from './declared.ts'
export { listModelProviders } from './registry.ts'
export { DIALECTS, MODEL_CREDENTIALS, modelBase, settingFaults } from './schema.ts'
export type { Dialect, ModelCredential, ModelProvider } from './schema.ts'
