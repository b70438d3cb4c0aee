/** AWS Bedrock. https://docs.aws.amazon.com/bedrock/latest/APIReference/welcome.html */
import type { ModelProviderInput } from '../schema.ts'

export const bedrock: ModelProviderInput = {
  id: 'bedrock',
  name: 'AWS Bedrock',
  docs: 'https://docs.aws.amazon.com/bedrock/latest/APIReference/welcome.html',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/boto/botocore', dated: '2026-08-07', shows: ['base', 'settings', 'signing', 'clients', 'errors'] },
      { page: 'https://docs.aws.amazon.com/bedrock/latest/userguide/inference-responses-api.html', shows: ['base'] },
    ],
  },
  notes: [
    "Some of its models, not all, also take OpenAI's requests, at `/openai/v1/chat/completions` and `/openai/v1/responses`.",
    'Its own keys, sent as bearer tokens, are not taken here: calls are signed.',
    'The code of an error stands in the header `x-amzn-errortype`.',
  ],
  dialect: 'bedrock',
  credential: 'aws',
  base: 'https://bedrock-runtime.{region}.amazonaws.com',
  // The regions of AWS's European sovereign cloud have a domain of their own.
  elsewhere: [{ setting: 'region', is: ['eusc-de-east-1'], base: 'https://bedrock-runtime.{region}.amazonaws.eu' }],
  settings: { region: 'Region of the endpoint, as eu-central-1' },
  signing: { service: 'bedrock' },
  clients: { '@aws-sdk/client-bedrock-runtime': '' },
  errors: { message: ['message'] },
}
