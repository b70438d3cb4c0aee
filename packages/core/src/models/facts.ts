/** Owns what a model provider's record says that a page of the vendor's own can show, and which of it no page shows yet. */
import { unshownOf } from '../catalog/index.ts'
import type { ModelProvider } from './schema.ts'

/** What each fact is called in the documentation. */
export const MODEL_FACTS = {
  base: 'the address of the API',
  key: 'the header that carries the key',
  headers: 'the headers that every call names',
  settings: 'what stands in its host',
  signing: 'the service that signatures name',
  tokens: 'where access tokens are bought, and for which scope',
  clients: 'what its clients write below that address',
  paths: "where it takes OpenAI's requests",
  chat: "where its chat completions differ from OpenAI's",
  errors: 'the form of its errors',
  limits: 'what its answers say of limits',
} as const

/** One of `MODEL_FACTS`. */
export type ModelFact = keyof typeof MODEL_FACTS

/** What the record says, in the order of the list above. */
export function statedModelFacts(record: ModelProvider): readonly ModelFact[] {
  const stated: Readonly<Record<ModelFact, boolean>> = {
    base: true,
    key: record.injection !== undefined,
    headers: Object.keys(record.defaultHeaders).length > 0,
    settings: Object.keys(record.settings).length > 0,
    signing: record.signing !== undefined,
    tokens: record.tokens !== undefined,
    clients: Object.keys(record.clients).length > 0,
    paths: Object.keys(record.paths).length > 0,
    chat: record.chat !== undefined,
    errors: record.errors !== undefined,
    limits: record.limits.length > 0,
  }
  return (Object.keys(MODEL_FACTS) as ModelFact[]).filter((fact) => stated[fact])
}

/** What the record says and none of its pages shows. */
export function unshownModelFacts(record: ModelProvider): readonly ModelFact[] {
  return unshownOf(statedModelFacts(record), record.held)
}
