/** Google Gemini. https://ai.google.dev/api */
import type { ModelProviderInput } from '../schema.ts'

export const gemini: ModelProviderInput = {
  id: 'gemini',
  name: 'Google Gemini',
  docs: 'https://ai.google.dev/api',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/googleapis/js-genai', dated: '2026-08-21', shows: ['base', 'key', 'clients'] },
      { page: 'https://google.aip.dev/193', dated: '2026-03-04', shows: ['errors'] },
    ],
  },
  notes: ["It also takes OpenAI's requests, at `/v1beta/openai/chat/completions` and `/v1beta/openai/embeddings`; its own words say more."],
  dialect: 'gemini',
  credential: 'key',
  base: 'https://generativelanguage.googleapis.com',
  injection: { name: 'x-goog-api-key', template: '{token}' },
  clients: { '@google/genai': '' },
  errors: { message: ['error', 'message'], code: ['error', 'status'] },
}
