/** xAI. https://docs.x.ai/docs/api-reference */
import type { ModelProviderInput } from '../schema.ts'

export const xai: ModelProviderInput = {
  id: 'xai',
  name: 'xAI',
  docs: 'https://docs.x.ai/docs/api-reference',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.x.ai',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
