/** DeepSeek. https://api-docs.deepseek.com */
import type { ModelProviderInput } from '../schema.ts'

export const deepseek: ModelProviderInput = {
  id: 'deepseek',
  name: 'DeepSeek',
  docs: 'https://api-docs.deepseek.com',
  dialect: 'openai',
  credential: 'key',
  base: 'https://api.deepseek.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
