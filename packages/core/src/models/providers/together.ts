/** Together AI. https://docs.together.ai/docs/inference/openai-compatibility */
import type { ModelProviderInput } from '../schema.ts'

export const together: ModelProviderInput = {
  id: 'together',
  name: 'Together AI',
  docs: 'https://docs.together.ai/docs/inference/openai-compatibility',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/togethercomputer/openapi', dated: '2026-04-28', shows: ['base', 'key', 'paths', 'errors'] },
      { page: 'https://github.com/togethercomputer/together-typescript', dated: '2026-08-19', shows: ['base', 'key', 'clients', 'paths'] },
      { page: 'https://docs.together.ai/docs/inference/openai-compatibility', shows: ['base'] },
    ],
  },
  notes: [
    "It has begun to take OpenAI's responses at `/v1/responses`, of some models and without kept ones; the gateway says them as chat.",
  ],
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.together.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { 'together-ai': '/v1', openai: '/v1' },
  paths: { chat: '/v1/chat/completions', embeddings: '/v1/embeddings', models: '/v1/models' },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
}
