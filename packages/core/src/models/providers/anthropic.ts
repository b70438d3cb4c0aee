/** Anthropic. https://docs.anthropic.com/en/api/overview */
import type { ModelProviderInput } from '../schema.ts'

export const anthropic: ModelProviderInput = {
  id: 'anthropic',
  name: 'Anthropic',
  docs: 'https://docs.anthropic.com/en/api/overview',
  dialect: 'anthropic',
  credential: 'key',
  base: 'https://api.anthropic.com',
  injection: { name: 'x-api-key', template: '{token}' },
  // Every call names the version of the API that it speaks.
  defaultHeaders: { 'anthropic-version': '2023-06-01' },
}
