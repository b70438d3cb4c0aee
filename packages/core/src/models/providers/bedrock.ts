/** AWS Bedrock. https://docs.aws.amazon.com/bedrock/latest/APIReference/welcome.html */
import type { ModelProviderInput } from '../schema.ts'

export const bedrock: ModelProviderInput = {
  id: 'bedrock',
  name: 'AWS Bedrock',
  docs: 'https://docs.aws.amazon.com/bedrock/latest/APIReference/welcome.html',
  dialect: 'bedrock',
  credential: 'aws',
  base: 'https://bedrock-runtime.{region}.amazonaws.com',
  settings: { region: 'Region of the endpoint, as eu-central-1' },
}
