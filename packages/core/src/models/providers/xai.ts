/** xAI. https://docs.x.ai/developers/rest-api-reference */
import type { ModelProviderInput } from '../schema.ts'

export const xai: ModelProviderInput = {
  id: 'xai',
  name: 'xAI',
  docs: 'https://docs.x.ai/developers/rest-api-reference',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://docs.x.ai/developers/rest-api-reference/inference', shows: ['base', 'key'] },
      { page: 'https://docs.x.ai/api-reference', shows: ['base', 'key', 'paths'] },
      { page: 'https://docs.x.ai/api/integrations', shows: ['base', 'clients', 'paths'] },
      { page: 'https://github.com/xai-org/xai-sdk-python', dated: '2026-08-18', shows: ['base'] },
    ],
  },
  notes: ['The text of an error is `error` itself, where OpenAI has an object.'],
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.x.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { openai: '/v1' },
  paths: { chat: '/v1/chat/completions', responses: '/v1/responses', models: '/v1/models' },
  errors: { message: ['error'], code: ['code'] },
}
