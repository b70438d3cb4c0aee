/** DeepSeek. https://api-docs.deepseek.com */
import type { ModelProviderInput } from '../schema.ts'

export const deepseek: ModelProviderInput = {
  id: 'deepseek',
  name: 'DeepSeek',
  docs: 'https://api-docs.deepseek.com',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://api-docs.deepseek.com/', shows: ['base', 'key', 'clients', 'paths'] },
      { page: 'https://api-docs.deepseek.com/guides/responses_api', shows: ['base', 'clients', 'paths'] },
    ],
  },
  notes: ["It takes OpenAI's paths with and without `/v1` before them.", "It also takes Anthropic's requests, at `/anthropic`."],
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.deepseek.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { openai: '' },
  paths: { chat: '/chat/completions', responses: '/responses', models: '/models' },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
}
