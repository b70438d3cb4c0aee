/** Google Gemini. https://ai.google.dev/api */
import type { ModelProviderInput } from '../schema.ts'

export const gemini: ModelProviderInput = {
  id: 'gemini',
  name: 'Google Gemini',
  docs: 'https://ai.google.dev/api',
  dialect: 'gemini',
  credential: 'key',
  base: 'https://generativelanguage.googleapis.com',
  injection: { name: 'x-goog-api-key', template: '{token}' },
}
