/** Model providers as data. */
export * from './prices/index.ts'
export * from './usage/index.ts'
export { leavesAccount, withinAccount } from './account.ts'
export { authorizeModelCall, needsWholeBody } from './authorize.ts'
export type { ModelAuthorization, OutgoingModelCall } from './authorize.ts'
export { credentialFault, maskedCredential, settingsWithin } from './credential.ts'
export { awsEventStream } from './aws-event-stream.ts'
export type { AwsEventStream, AwsEventStreamErrorCode, AwsMessage } from './aws-event-stream.ts'
export { eventStream } from './event-stream.ts'
export type { EventStream, EventStreamErrorCode, ServerSentEvent } from './event-stream.ts'
export { declaredModelProvider, modelProvidersWith } from './declared.ts'
export type { DeclaredModelProvider } from './declared.ts'
export { MODEL_FACTS, statedModelFacts, unshownModelFacts } from './facts.ts'
export type { ModelFact } from './facts.ts'
export { modelProviderReference } from './reference.ts'
export { listModelProviders } from './registry.ts'
export { DIALECTS, MODEL_CREDENTIALS, modelBase, settingFaults } from './schema.ts'
export type { Dialect, ModelCredential, ModelProvider } from './schema.ts'
export { recalled } from './translate/recalled.ts'
export { translationFor } from './translate/translation-for.ts'
export type { TranslationOptions } from './translate/translation-for.ts'
export { DONE, eventText } from './translate/translation.ts'
export type {
  AnswerStream,
  Asked,
  CallerAnswer,
  ModelOperation,
  Stamps,
  StreamFailure,
  Translation,
  VendorRequest,
} from './translate/translation.ts'
export { TranslationError } from './translate/translation-error.ts'
export type { TranslationErrorCode, TranslationReason } from './translate/translation-error.ts'
export { vendorError } from './vendor-error.ts'
export type { OwnFailure, VendorError } from './vendor-error.ts'
export { createAccessTokens, ModelKeyError } from './service-account.ts'
export type { AccessTokens, AccessTokensOptions, ModelKeyErrorCode, TokenWanted } from './service-account.ts'
