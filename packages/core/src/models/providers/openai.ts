/** OpenAI. https://platform.openai.com/docs/api-reference */
import type { ModelProviderInput } from '../schema.ts'

export const openai: ModelProviderInput = {
  id: 'openai',
  name: 'OpenAI',
  docs: 'https://platform.openai.com/docs/api-reference',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.openai.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
