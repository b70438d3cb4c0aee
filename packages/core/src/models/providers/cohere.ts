/** Cohere. https://docs.cohere.com/reference/about */
import type { ModelProviderInput } from '../schema.ts'

export const cohere: ModelProviderInput = {
  id: 'cohere',
  name: 'Cohere',
  docs: 'https://docs.cohere.com/reference/about',
  dialect: 'cohere',
  credential: 'key',
  base: 'https://api.cohere.com',
  injection: { name: 'authorization', template: 'Bearer {token}' },
}
