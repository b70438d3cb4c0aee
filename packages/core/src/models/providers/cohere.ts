/** Cohere. https://docs.cohere.com/reference/about */
import type { ModelProviderInput } from '../schema.ts'

export const cohere: ModelProviderInput = {
  id: 'cohere',
  name: 'Cohere',
  docs: 'https://docs.cohere.com/reference/about',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/cohere-ai/cohere-developer-experience',
        dated: '2026-08-20',
        shows: ['base', 'key', 'paths', 'errors'],
      },
      { page: 'https://github.com/cohere-ai/cohere-typescript', dated: '2026-08-18', shows: ['base', 'clients'] },
      { page: 'https://docs.cohere.com/docs/compatibility-api', shows: ['clients', 'paths'] },
    ],
  },
  notes: ["Its page of OpenAI's requests writes the host `api.cohere.ai` for chat and embeddings and `api.cohere.com` for audio."],
  dialect: 'cohere',
  credential: 'key',
  base: 'https://api.cohere.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { 'cohere-ai': '', openai: '/compatibility/v1' },
  paths: { chat: '/compatibility/v1/chat/completions', embeddings: '/compatibility/v1/embeddings' },
  chat: {
    lacks: [
      'stream_options',
      'audio',
      'logit_bias',
      'metadata',
      'modalities',
      'n',
      'parallel_tool_calls',
      'prediction',
      'service_tier',
      'store',
      'top_logprobs',
    ],
  },
  errors: { message: ['message'] },
}
