/**
 * Owns the OpenAPI 3.1 document and its reference page. Generated from the contract's table; what Fastify can't know (the data
 * plane, problems, access) is added here. Refuses a second description of any control plane path.
 */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform, jsonSchemaTransformObject } from 'fastify-type-provider-zod'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { REFERENCE_POLICY, useContentPolicy } from './headers.ts'
import { PUBLIC_READ } from './route-guard.ts'

/** One operation of the document. */
interface Described {
  readonly responses?: object
  readonly parameters?: readonly object[]
  readonly [name: string]: unknown
}

/** As much of an OpenAPI document as is touched here. */
interface Document {
  paths?: Record<string, Record<string, Described>>
  components?: Record<string, unknown>
}

const PROBLEM = {
  description: 'A problem (RFC 9457)',
  content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
}

/** As docs/organizations.md says. */
const IDEMPOTENCY_KEY = {
  name: 'Idempotency-Key',
  in: 'header',
  required: false,
  description:
    'Best a random UUID. Within 24 hours the same caller gets the same answer to the same request under the same key, with `Idempotency-Replayed: true`, and nothing is made again',
  schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[!-~]+$' },
}

const NOTHING = { '204': { description: 'Done; there is nothing to say' } }

/** Collects routes from here on; must be awaited before the first operation is added. */
export async function collectOpenApi(app: FastifyInstance, publicUrl: string): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Sallyport',
        version: '1',
        description: 'Calls go out. Keys stay in. Errors are RFC 9457 problems; lists are paged by cursor; ids are opaque.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: publicUrl }],
      components: {
        securitySchemes: {
          key: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'sp_{live|test}_{id}_{secret}_{checksum}',
            description: 'A key whose `sender` is a DPoP key goes with a fresh proof (RFC 9449) in the `DPoP` header of each request',
          },
          session: {
            type: 'apiKey',
            in: 'cookie',
            name: 'sallyport_session',
            description: 'The console; `__Host-` before the name over https',
          },
        },
      },
    },
    // Pages for browsers have no tag; they are no part of the API.
    hideUntagged: true,
    transform: jsonSchemaTransform,
    transformObject: (document) => completed(jsonSchemaTransformObject(document) as Document) as never,
  })
}

/** Serves `/openapi.json`, and the reference page at `/docs` from our own files under the pages' content policy. */
export async function serveReference(app: FastifyInstance): Promise<void> {
  await app.register(async (scope) => {
    scope.routeAccess = PUBLIC_READ
    scope.get('/openapi.json', { schema: { hide: true } }, async () => app.swagger())
    useContentPolicy(scope, REFERENCE_POLICY)
    await scope.register(swaggerUi, {
      routePrefix: '/docs',
      // BaseLayout has no bar for opening other documents, and no logo of the renderer's.
      uiConfig: { layout: 'BaseLayout', docExpansion: 'list', deepLinking: true, supportedSubmitMethods: [], validatorUrl: null },
      theme: { title: 'Sallyport API' },
    })
  })
}

function completed(document: Document): Document {
  const paths = { ...document.paths }
  for (const [name, operation] of Object.entries<Operation>(operations)) {
    const described = paths[operation.path]?.[operation.method.toLowerCase()]
    if (described !== undefined) Object.assign(described, additions(name, operation, described))
  }
  paths['/proxy/{integration}/{path}'] = proxyPath()
  paths['/llm/{provider}/{path}'] = modelPath()
  Object.assign(paths, compatiblePaths())
  return { ...document, paths }
}

function additions(name: string, operation: Operation, described: Described): Described {
  const { access, response } = operation
  return {
    operationId: name,
    ...(isCreation(operation) ? { parameters: [...(described.parameters ?? []), IDEMPOTENCY_KEY] } : {}),
    security: access.audience === 'public' ? [] : securityOf(access),
    'x-sallyport-access': access,
    responses: { ...(response === null ? NOTHING : described.responses), default: PROBLEM },
  }
}

/** What takes `Idempotency-Key` (routes/register.ts): whatever somebody who is known makes. */
function isCreation({ access, method, status }: Operation): boolean {
  return access.audience !== 'public' && method === 'POST' && status === 201
}

function securityOf(access: Operation['access']): Record<string, string[]>[] {
  const key = access.audience === 'principal' || access.scope !== undefined
  const person = access.audience === 'principal' || access.role !== undefined
  return [...(key ? [{ key: access.scope === undefined ? [] : [access.scope] }] : []), ...(person ? [{ session: [] }] : [])]
}

/** The data plane never enters Fastify, so its one shape is described by hand. */
function proxyPath(): Record<string, Described> {
  const text = (name: string, description: string) => ({ name, in: 'header', description, schema: { type: 'string' } })
  const shared = {
    tags: ['Calling out'],
    security: [{ key: ['proxy:call'] }],
    'x-sallyport-access': { audience: 'tenant', scope: 'proxy:call', tenant: 'environment', audit: 'credential.used' },
    parameters: [
      { name: 'integration', in: 'path', required: true, description: 'Slug of the integration', schema: { type: 'string' } },
      {
        name: 'path',
        in: 'path',
        required: true,
        description: 'Path at the provider, slashes and all; its query is passed on',
        schema: { type: 'string' },
      },
      text('Sallyport-Connection', '`conn_...`; or name the end user instead. `Connection-Id` is understood too'),
      text('DPoP', 'A proof for this request, with a key that is bound to a DPoP key; it goes no further'),
      text('Sallyport-User', 'End user id, when that user has one connection of the integration'),
    ],
    responses: {
      '200': { description: "The provider's own answer, whatever its status; `Sallyport-Error-Source: provider` marks its failures" },
      default: { ...PROBLEM, description: "The gateway's own refusal; `Sallyport-Error-Source: gateway`" },
    },
  }
  return forEveryMethod(shared, 'proxy', "at the provider, with the connection's credential")
}

/** What any call of a model may say in headers. */
function modelHeaders(): readonly object[] {
  const text = (name: string, description: string) => ({ name, in: 'header', description, schema: { type: 'string' } })
  return [
    text('Sallyport-Provider-Key', "The caller's own credential of the provider, for this call alone. `X-Provider-Key` is understood too"),
    text('Sallyport-Provider-Settings', 'What else that credential needs: `region=eu-central-1`'),
    text('Sallyport-Provider-Key-Name', 'Which kept key of the provider; `default` where nothing is said'),
    text('Sallyport-User', 'End user, as the application names it'),
    text('Sallyport-Keepalive', 'Seconds of silence after which an event stream gets a comment, 1 to 300'),
  ]
}

/** Likewise. */
function modelPath(): Record<string, Described> {
  const shared = {
    tags: ['Calling out'],
    security: [{ key: ['llm:call'] }],
    'x-sallyport-access': { audience: 'tenant', scope: 'llm:call', tenant: 'environment', audit: 'provider_key.used' },
    parameters: [
      { name: 'provider', in: 'path', required: true, description: 'Id of the provider of models', schema: { type: 'string' } },
      {
        name: 'path',
        in: 'path',
        required: true,
        description: "Path of the provider's own API, slashes and all; its query is passed on",
        schema: { type: 'string' },
      },
      ...modelHeaders(),
    ],
    responses: {
      '200': { description: "The provider's own answer, whatever its status; `Sallyport-Error-Source: provider` marks its failures" },
      default: {
        description: "The gateway's own refusal, in the vendor's words; `Sallyport-Error-Source: gateway`, and `Sallyport-Error-Code`",
      },
    },
  }
  return forEveryMethod(shared, 'llm', "at the provider of models, with a kept key or the caller's own")
}

/** Bodies and answers are OpenAI's own, which its API reference describes. */
function compatiblePaths(): Record<string, Record<string, Described>> {
  const asked = (method: 'get' | 'post', name: string, summary: string, more: object = {}): Record<string, Described> => ({
    [method]: {
      tags: ['Calling out'],
      operationId: `v1_${name}`,
      summary,
      security: [{ key: ['llm:call'] }],
      'x-sallyport-access': {
        audience: 'tenant',
        scope: 'llm:call',
        tenant: 'environment',
        audit: method === 'get' ? 'none' : 'provider_key.used',
      },
      responses: {
        '200': { description: "An answer in OpenAI's words; `Sallyport-Served-By` names the provider and model that gave it" },
        default: { description: "A refusal in OpenAI's words; `Sallyport-Error-Source` says whose" },
      },
      ...more,
    },
  })
  const sent = {
    parameters: modelHeaders(),
    requestBody: {
      required: true,
      description: "OpenAI's request; `model` is `provider/model`, or the name of a route",
      content: { 'application/json': { schema: { type: 'object', required: ['model'], properties: { model: { type: 'string' } } } } },
    },
  }
  const one = {
    name: 'model',
    in: 'path',
    required: true,
    description: '`provider/model`, or the name of a route',
    schema: { type: 'string' },
  }
  return {
    '/v1/chat/completions': asked('post', 'chat_completions', 'Complete a chat', sent),
    '/v1/responses': asked('post', 'responses', 'Create a response', sent),
    '/v1/embeddings': asked('post', 'embeddings', 'Embed texts', sent),
    '/v1/models': asked('get', 'models', 'List routes and the models of providers that a key is kept for'),
    '/v1/models/{model}': asked('get', 'model', 'Read one of them', { parameters: [one] }),
  }
}

function forEveryMethod(shared: Described, name: string, what: string): Record<string, Described> {
  const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options']
  return Object.fromEntries(
    methods.map((method) => [method, { ...shared, operationId: `${name}_${method}`, summary: `${method.toUpperCase()} ${what}` }]),
  )
}
