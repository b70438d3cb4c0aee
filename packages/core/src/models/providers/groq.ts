/** Groq. https://console.groq.com/docs/api-reference */
import type { ModelProviderInput } from '../schema.ts'

export const groq: ModelProviderInput = {
  id: 'groq',
  name: 'Groq',
  docs: 'https://console.groq.com/docs/api-reference',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/groq/groq-typescript', dated: '2026-07-24', shows: ['base', 'key', 'clients', 'paths', 'errors'] },
      { page: 'https://console.groq.com/docs/openai', shows: ['base', 'clients'] },
    ],
  },
  dialect: 'openai',
  credential: 'key',
  // Its own client writes `/openai/v1` into every path.
  base: 'https://api.groq.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { 'groq-sdk': '', openai: '/openai/v1' },
  paths: {
    chat: '/openai/v1/chat/completions',
    responses: '/openai/v1/responses',
    embeddings: '/openai/v1/embeddings',
    models: '/openai/v1/models',
  },
  chat: { handedBack: ['reasoning_content', 'extra_content'] },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
  limits: [
    'retry-after',
    ...['requests', 'tokens'].flatMap((of) => ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${of}`)),
  ],
}
