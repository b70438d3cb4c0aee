/** Together AI. https://docs.together.ai/reference */
import type { ModelProviderInput } from '../schema.ts'

export const together: ModelProviderInput = {
  id: 'together',
  name: 'Together AI',
  docs: 'https://docs.together.ai/reference',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.together.xyz',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
