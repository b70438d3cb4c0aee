/** OpenRouter. https://openrouter.ai/docs/api-reference/overview */
import type { ModelProviderInput } from '../schema.ts'

export const openrouter: ModelProviderInput = {
  id: 'openrouter',
  name: 'OpenRouter',
  docs: 'https://openrouter.ai/docs/api-reference/overview',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/OpenRouterTeam/docs', dated: '2026-08-22', shows: ['base', 'errors', 'limits'] },
      { page: 'https://github.com/OpenRouterTeam/typescript-sdk', dated: '2026-08-22', shows: ['base', 'key', 'clients', 'paths'] },
    ],
  },
  notes: ['An answer that has begun stays 200: what fails later stands in its body or its events as `error`.'],
  dialect: 'openai',
  credential: 'key',
  base: 'https://openrouter.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { '@openrouter/sdk': '/api/v1', openai: '/api/v1' },
  paths: {
    chat: '/api/v1/chat/completions',
    responses: '/api/v1/responses',
    embeddings: '/api/v1/embeddings',
    models: '/api/v1/models',
  },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
  // Of its refusals alone.
  limits: ['retry-after', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset'],
}
