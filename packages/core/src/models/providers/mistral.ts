/** Mistral AI. https://docs.mistral.ai/api */
import type { ModelProviderInput } from '../schema.ts'

export const mistral: ModelProviderInput = {
  id: 'mistral',
  name: 'Mistral AI',
  docs: 'https://docs.mistral.ai/api',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.mistral.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
