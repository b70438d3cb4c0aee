/** Azure OpenAI. https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle */
import type { ModelProviderInput } from '../schema.ts'

export const azureOpenai: ModelProviderInput = {
  id: 'azure-openai',
  name: 'Azure OpenAI',
  docs: 'https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle',
  held: {
    on: '2026-11-22',
    pages: [
      {
        page: 'https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle',
        dated: '2026-03-19',
        shows: ['base', 'key', 'settings', 'clients', 'paths'],
      },
      {
        page: 'https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/embeddings',
        dated: '2026-03-19',
        shows: ['base', 'key', 'paths'],
      },
      { page: 'https://learn.microsoft.com/en-us/azure/foundry/openai/how-to/quota', dated: '2026-05-06', shows: ['limits'] },
      { page: 'https://github.com/Azure/azure-rest-api-specs', shows: ['key', 'paths', 'errors'] },
    ],
  },
  notes: [
    'The same API lies at `{resource}.services.ai.azure.com`; the gateway calls it at the address above.',
    'Addresses with `/openai/deployments/{deployment}` want `api-version` in the query; those with `/openai/v1` do not.',
    'The client `AzureOpenAI` of the package `openai` takes `/llm/azure-openai` as its endpoint.',
    'A model is named there as its deployment is called.',
  ],
  dialect: 'openai',
  credential: 'key',
  base: 'https://{resource}.openai.azure.com',
  settings: { resource: 'Name of the resource, as it stands in its address' },
  injection: { name: 'api-key', template: '{token}' },
  clients: { openai: '/openai/v1' },
  paths: {
    chat: '/openai/v1/chat/completions',
    responses: '/openai/v1/responses',
    embeddings: '/openai/v1/embeddings',
    models: '/openai/v1/models',
  },
  errors: { message: ['error', 'message'], code: ['error', 'code'] },
  limits: [
    'retry-after-ms',
    ...['requests', 'tokens'].flatMap((of) => ['limit', 'remaining', 'reset'].map((what) => `x-ratelimit-${what}-${of}`)),
  ],
}
