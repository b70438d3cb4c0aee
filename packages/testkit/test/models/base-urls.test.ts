/** The base URLs that docs/model-providers.md gives for the vendors' own clients, tried with these clients: what they add to one is the vendor's path. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Anthropic from '@anthropic-ai/sdk'
import { BedrockRuntimeClient, ConverseCommand } from '@aws-sdk/client-bedrock-runtime'
import { KMSClient } from '@aws-sdk/client-kms'
import { GoogleGenAI } from '@google/genai'
import { listModelProviders } from '@sallyport/core'
import type { ModelProvider } from '@sallyport/core'
import OpenAI, { AzureOpenAI } from 'openai'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

interface Arrival {
  readonly path: string
  readonly headers: Readonly<Record<string, unknown>>
}

const KEY = 'not-a-real-caller-key'
const record = (id: string): ModelProvider => listModelProviders().find((provider) => provider.id === id)!

describe('the base URL of a vendor’s client', () => {
  const arrivals: Arrival[] = []
  // Whoever calls is refused: where they came to is all that is asked.
  const server = createServer((request, response) => {
    arrivals.push({ path: new URL(request.url!, 'http://gateway').pathname, headers: request.headers })
    request.resume()
    response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":{"message":"no","type":"invalid_request_error"}}')
  })
  let origin = ''
  /** As the document has it. */
  const base = (id: string, client: string): string => `${origin}/llm/${id}${record(id).clients[client]!}`
  const cameTo = async (call: Promise<unknown>): Promise<Arrival> => {
    await expect(call).rejects.toMatchObject({ name: expect.any(String) })
    expect(arrivals).toHaveLength(1)
    return arrivals.pop()!
  }

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })
  beforeEach(() => void arrivals.splice(0))
  afterAll(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it.each(listModelProviders().filter(({ clients }) => 'openai' in clients))(
    'leads OpenAI’s to each path where $id takes its requests',
    async ({ id, paths }) => {
      const client = new OpenAI({ baseURL: base(id, 'openai'), apiKey: KEY, maxRetries: 0 })
      const model = 'some-model'
      const calls = {
        chat: () => client.chat.completions.create({ model, messages: [{ role: 'user', content: 'hello' }] }),
        responses: () => client.responses.create({ model, input: 'hello' }),
        embeddings: () => client.embeddings.create({ model, input: 'hello' }),
        models: async () => await client.models.list(),
      }
      for (const [what, path] of Object.entries(paths)) {
        expect((await cameTo(calls[what as keyof typeof calls]())).path).toBe(`/llm/${id}${path}`)
      }
    },
  )

  it('leads Anthropic’s to its messages, with the key where the gateway looks for one, and the version that it was written for', async () => {
    const client = new Anthropic({ baseURL: base('anthropic', '@anthropic-ai/sdk'), apiKey: KEY, maxRetries: 0 })
    const call = client.messages.create({ model: 'some-model', max_tokens: 1, messages: [{ role: 'user', content: 'hello' }] })
    const { path, headers } = await cameTo(call)
    expect(path).toBe('/llm/anthropic/v1/messages')
    expect(headers).toHaveProperty('authorization', `Bearer ${KEY}`)
    for (const name of Object.keys(record('anthropic').defaultHeaders)) expect(headers).toHaveProperty(name)
  })

  it('leads Google’s to its models, with the key where the record has it', async () => {
    const client = new GoogleGenAI({ apiKey: KEY, vertexai: false, httpOptions: { baseUrl: base('gemini', '@google/genai') } })
    const { path, headers } = await cameTo(client.models.generateContent({ model: 'some-model', contents: 'hello' }))
    expect(path).toMatch(/^\/llm\/gemini\/v1[a-z0-9]*\/models\/some-model:generateContent$/u)
    expect(headers).toHaveProperty(record('gemini').injection!.name, KEY)
  })

  it('leads Google’s to Vertex AI’s models in a project and location, with the key where the gateway looks for one', async () => {
    const httpOptions = { baseUrl: base('vertex', '@google/genai') }
    const client = new GoogleGenAI({ apiKey: KEY, vertexai: true, project: 'a-project', location: 'europe-west4', httpOptions })
    const { path, headers } = await cameTo(client.models.generateContent({ model: 'some-model', contents: 'hello' }))
    const place = 'projects/a-project/locations/europe-west4/publishers/google/models/some-model:generateContent'
    expect(path.replace(/\/v1[a-z0-9]*\//u, '/')).toBe(`/llm/vertex/${place}`)
    expect(headers).toHaveProperty('x-goog-api-key', KEY)
  })

  it('leads AWS’s to its models, signed for the service that the record names', async () => {
    const client = new BedrockRuntimeClient({
      endpoint: base('bedrock', '@aws-sdk/client-bedrock-runtime'),
      region: 'eu-central-1',
      credentials: { accessKeyId: 'NOT-A-REAL-ID', secretAccessKey: 'not-a-real-secret' },
      // Its own speaks HTTP/2, which the listener does not.
      requestHandler: new KMSClient({ region: 'eu-central-1' }).config.requestHandler,
      maxAttempts: 1,
    })
    const call = client.send(new ConverseCommand({ modelId: 'some-model', messages: [{ role: 'user', content: [{ text: 'hello' }] }] }))
    const { path, headers } = await cameTo(call)
    client.destroy()
    expect(path).toBe('/llm/bedrock/model/some-model/converse')
    expect(headers['authorization']).toContain(`/eu-central-1/${record('bedrock').signing!.service}/aws4_request`)
  })

  it('leads OpenAI’s own of Azure to the deployment, with the key where the record has it', async () => {
    const client = new AzureOpenAI({ endpoint: `${origin}/llm/azure-openai`, apiKey: KEY, apiVersion: '2024-10-21', maxRetries: 0 })
    const call = client.chat.completions.create({ model: 'mine', messages: [{ role: 'user', content: 'hello' }] })
    const { path, headers } = await cameTo(call)
    expect(path).toBe('/llm/azure-openai/openai/deployments/mine/chat/completions')
    expect(headers).toHaveProperty(record('azure-openai').injection!.name, KEY)
  })
})
