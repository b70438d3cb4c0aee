/** Google Vertex AI. https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest */
import type { ModelProviderInput } from '../schema.ts'

export const vertex: ModelProviderInput = {
  id: 'vertex',
  name: 'Google Vertex AI',
  docs: 'https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest',
  dialect: 'gemini',
  credential: 'google_service_account',
  base: 'https://{location}-aiplatform.googleapis.com',
  tokens: { endpoint: 'https://oauth2.googleapis.com/token', scope: 'https://www.googleapis.com/auth/cloud-platform' },
  settings: { location: 'Location of the endpoint, as europe-west4' },
}
