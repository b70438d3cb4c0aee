/** The model plane: calls to model providers, natively and in words that all of them are given. */
export type { ModelCall, ModelCalls, OwnKey } from './model-call.ts'
