/** Azure OpenAI. https://learn.microsoft.com/en-us/azure/ai-services/openai/reference */
import type { ModelProviderInput } from '../schema.ts'

export const azureOpenai: ModelProviderInput = {
  id: 'azure-openai',
  name: 'Azure OpenAI',
  docs: 'https://learn.microsoft.com/en-us/azure/ai-services/openai/reference',
  dialect: 'openai',
  credential: 'key',
  base: 'https://{resource}.openai.azure.com',
  settings: { resource: 'Name of the resource, as it stands in its address' },
  injection: { name: 'api-key', template: '{token}' },
}
