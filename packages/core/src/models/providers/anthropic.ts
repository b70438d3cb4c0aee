/** Anthropic. https://platform.claude.com/docs/en/api/overview */
import type { ModelProviderInput } from '../schema.ts'

export const anthropic: ModelProviderInput = {
  id: 'anthropic',
  name: 'Anthropic',
  docs: 'https://platform.claude.com/docs/en/api/overview',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://github.com/anthropics/anthropic-sdk-typescript',
        dated: '2026-08-19',
        shows: ['base', 'key', 'headers', 'clients', 'errors'],
      },
      { page: 'https://platform.claude.com/docs/en/api/versioning', shows: ['headers'] },
      { page: 'https://platform.claude.com/docs/en/api/migration-2026-10-21', shows: ['base', 'key', 'headers'] },
      { page: 'https://docs.aws.amazon.com/claude-platform/latest/userguide/rate-limits.html', shows: ['limits'] },
    ],
  },
  notes: [
    'The version `2026-10-21` takes no `temperature`, `top_p` and `top_k`.',
    'Its own TypeScript client, since 1.0, names that version and sends its key as `Authorization: Bearer`. Anthropic takes both headers.',
    "It also takes OpenAI's chat requests at `/v1/chat/completions`, to try models out; not all of its own words can be said there.",
  ],
  dialect: 'anthropic',
  credential: 'key',
  base: 'https://api.anthropic.com',
  injection: { name: 'x-api-key', template: '{token}' },
  // Every call names the version of the API that it speaks. What the gateway itself says to Anthropic it says in this one.
  defaultHeaders: { 'anthropic-version': '2023-06-01' },
  clients: { '@anthropic-ai/sdk': '' },
  errors: { message: ['error', 'message'], code: ['error', 'type'] },
  limits: [
    'retry-after',
    ...['requests', 'tokens', 'input-tokens', 'output-tokens'].flatMap((of) =>
      ['limit', 'remaining', 'reset'].map((what) => `anthropic-ratelimit-${of}-${what}`),
    ),
  ],
}
