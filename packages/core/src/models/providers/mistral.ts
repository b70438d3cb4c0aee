/** Mistral AI. https://docs.mistral.ai/api */
import type { ModelProviderInput } from '../schema.ts'

export const mistral: ModelProviderInput = {
  id: 'mistral',
  name: 'Mistral AI',
  docs: 'https://docs.mistral.ai/api',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/mistralai/platform-docs-public',
        dated: '2026-08-21',
        shows: ['base', 'key', 'paths', 'errors', 'limits'],
      },
      { page: 'https://github.com/mistralai/client-ts', dated: '2026-08-05', shows: ['base', 'key', 'clients', 'chat'] },
    ],
  },
  notes: ['An error that is about the form of a request (422) has a list under `detail` in place of `message`.'],
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.mistral.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
  clients: { '@mistralai/mistralai': '', openai: '/v1' },
  paths: { chat: '/v1/chat/completions', embeddings: '/v1/embeddings', models: '/v1/models' },
  chat: {
    renames: { max_completion_tokens: 'max_tokens', seed: 'random_seed' },
    lacks: [
      'logit_bias',
      'logprobs',
      'modalities',
      'safety_identifier',
      'service_tier',
      'store',
      'stream_options',
      'top_logprobs',
      'user',
      'verbosity',
    ],
    handedBack: ['reasoning_content', 'extra_content'],
  },
  errors: { message: ['message'], code: ['code'] },
  limits: ['retry-after', 'x-ratelimit-remaining'],
}
