/** OpenRouter. https://openrouter.ai/docs/api-reference/overview */
import type { ModelProviderInput } from '../schema.ts'

export const openrouter: ModelProviderInput = {
  id: 'openrouter',
  name: 'OpenRouter',
  docs: 'https://openrouter.ai/docs/api-reference/overview',
  dialect: 'openai',
  credential: 'key',
  base: 'https://openrouter.ai/api',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
