/** Model vendors on this machine: each speaks as its vendor's API does, and answers by rules that anybody can follow in their head. */
export { modelVendors, SANDBOX_MODELS, startModelVendors } from './server.ts'
export type { ModelProvider, ModelVendorsOptions } from './server.ts'
export { reply } from './mind.ts'
export type { Question, Reply, Turn } from './mind.ts'
export * as shapes from './shapes.ts'
export type { Shape } from './shapes.ts'
export { header, json, listIn, nextId, recordOf, toolOf } from './vendor.ts'
export type { Answer, Body, Call, Models, Refusal, Vendor } from './vendor.ts'
