/** Google Vertex AI. https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest */
import type { ModelProviderInput } from '../schema.ts'

export const vertex: ModelProviderInput = {
  id: 'vertex',
  name: 'Google Vertex AI',
  docs: 'https://docs.cloud.google.com/vertex-ai/generative-ai/docs/reference/rest',
  held: {
    on: '2026-11-22',
    pages: [
      { page: 'https://github.com/googleapis/js-genai', dated: '2026-08-21', shows: ['base', 'settings', 'tokens', 'clients'] },
      { page: 'https://github.com/googleapis/node-gtoken', dated: '2025-12-10', shows: ['tokens'] },
      { page: 'https://google.aip.dev/193', dated: '2026-03-04', shows: ['errors'] },
    ],
  },
  notes: ["It also takes OpenAI's chat requests, below the address of an endpoint of a project and location."],
  dialect: 'gemini',
  credential: 'google_service_account',
  base: 'https://{location}-aiplatform.googleapis.com',
  elsewhere: [
    { setting: 'location', is: ['global'], base: 'https://aiplatform.googleapis.com' },
    // Of several regions at once.
    { setting: 'location', is: ['eu', 'us'], base: 'https://aiplatform.{location}.rep.googleapis.com' },
  ],
  settings: { location: 'Location of the endpoint: a region as europe-west4, or global, eu or us' },
  optionalSettings: { project: 'Google Cloud project of models that are named without one; of the service account where nothing is said' },
  tokens: { endpoint: 'https://oauth2.googleapis.com/token', scope: 'https://www.googleapis.com/auth/cloud-platform' },
  clients: { '@google/genai': '' },
  errors: { message: ['error', 'message'], code: ['error', 'status'] },
}
