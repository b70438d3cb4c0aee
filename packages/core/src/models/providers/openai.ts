/** OpenAI. https://developers.openai.com/api/reference/overview */
import type { ModelProviderInput } from '../schema.ts'

export const openai: ModelProviderInput = {
  id: 'openai',
  name: 'OpenAI',
  docs: 'https://developers.openai.com/api/reference/overview',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/openai/openai-openapi', dated: '2026-08-21', shows: ['base', 'key', 'paths', 'errors'] },
      { page: 'https://github.com/openai/openai-node', dated: '2026-08-21', shows: ['base', 'key', 'clients', 'paths'] },
    ],
  },
  notes: [
    'A project whose data stay in a region is called at a host of that region, as `eu.api.openai.com`: declare it as the base of this provider.',
  ],
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.openai.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { openai: '/v1' },
  paths: { chat: '/v1/chat/completions', responses: '/v1/responses', embeddings: '/v1/embeddings', models: '/v1/models' },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
  limits: [
    'retry-after',
    ...['requests', 'tokens'].flatMap((of) => ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${of}`)),
  ],
}
