/** Groq. https://console.groq.com/docs/api-reference */
import type { ModelProviderInput } from '../schema.ts'

export const groq: ModelProviderInput = {
  id: 'groq',
  name: 'Groq',
  docs: 'https://console.groq.com/docs/api-reference',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.groq.com/openai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
