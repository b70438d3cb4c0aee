/** Owns the set of known model providers. Refuses a record that does not fit its form, when this module is loaded. */
import { anthropic } from './providers/anthropic.ts'
import { azureOpenai } from './providers/azure-openai.ts'
import { bedrock } from './providers/bedrock.ts'
import { cohere } from './providers/cohere.ts'
import { deepseek } from './providers/deepseek.ts'
import { gemini } from './providers/gemini.ts'
import { groq } from './providers/groq.ts'
import { mistral } from './providers/mistral.ts'
import { openai } from './providers/openai.ts'
import { openrouter } from './providers/openrouter.ts'
import { together } from './providers/together.ts'
import { vertex } from './providers/vertex.ts'
import { xai } from './providers/xai.ts'
import { modelProviderSchema } from './schema.ts'
import type { ModelProvider } from './schema.ts'

const RECORDS: readonly ModelProvider[] = [
  anthropic,
  azureOpenai,
  bedrock,
  cohere,
  deepseek,
  gemini,
  groq,
  mistral,
  openai,
  openrouter,
  together,
  vertex,
  xai,
].map((record) => Object.freeze(modelProviderSchema.parse(record)))

/** Every known model provider, in the order of their ids. */
export function listModelProviders(): readonly ModelProvider[] {
  return RECORDS
}
