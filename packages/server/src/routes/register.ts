/** Owns turning the contract's table into routes. Refuses to know any single operation. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { operations } from '@sallyport/contract'
import type { OperationName } from '@sallyport/contract'
import { cookieValues } from '../http/index.ts'
import type { PathIds } from '../http/index.ts'
import { principalRef } from '../identity/index.ts'
import { implementations } from './implementations.ts'
import { declared } from './operation.ts'
import type { AnyCall, Implementation, RouteDeps } from './operation.ts'

/** Adds every operation of the contract to `app`, whose guards are in place. */
export function registerOperations(app: FastifyInstance, deps: RouteDeps): void {
  for (const name of Object.keys(operations) as OperationName[]) addRoute(app, implementations[name], deps)
}

function addRoute(app: FastifyInstance, implementation: Implementation<OperationName>, deps: RouteDeps): void {
  const { name } = implementation
  const { method, path, access, tag, summary, params, query, body, response, media, status } = declared(operations, name)
  app.route({
    method,
    url: path.replace(/\{(\w+)\}/gu, ':$1'),
    config: { access, operation: name },
    schema: {
      operationId: name,
      tags: [tag],
      summary,
      ...(params === undefined ? {} : { params }),
      ...(query === undefined ? {} : { querystring: query }),
      ...(body === undefined ? {} : { body }),
      ...(response === null ? {} : { response: { [status]: media === undefined ? response : texts(media, response) } }),
    },
    handler: async (request, reply) => {
      const call = callOf(name, request, reply, deps)
      const answer = await answered(call, request.headers['idempotency-key'], () => implementation.handle(call))
      return reply.code(status).send(answer)
    },
  })
}

/**
 * A creation with an `Idempotency-Key` is done once. Other operations pass the header over: repeating them changes nothing more, or shows what it
 * did.
 */
async function answered<Answer>(call: AnyCall, key: string | string[] | undefined, work: () => Promise<Answer>): Promise<Answer> {
  const { access, method, status } = declared(operations, call.name)
  const { org, ...place } = call.ids as Partial<PathIds>
  if (key === undefined || org === undefined || call.principal === undefined || method !== 'POST' || status !== 201) return work()
  const { answer, replayed } = await call.deps.idempotency.once(
    {
      org,
      caller: principalRef(call.principal),
      key: String(key),
      operation: call.name,
      request: { place, body: call.body ?? null },
      action: access.audit,
    },
    work,
  )
  if (replayed) call.reply.header('idempotency-replayed', 'true')
  return answer
}

/** A streamed text is sent as it is; its schema is for the reference alone. */
function texts(media: readonly string[], schema: z.ZodType): object {
  return { content: Object.fromEntries(media.map((type) => [type, { schema }])) }
}

/** The guard and the validators have made each part what the table says it is. */
function callOf(name: OperationName, request: FastifyRequest, reply: FastifyReply, deps: RouteDeps): AnyCall {
  const { principal, ids, address } = request.caller
  const [sessionToken] = cookieValues(request.raw.rawHeaders, deps.sessionCookie.name)
  const { query, body } = request
  const key = request.headers['idempotency-key']
  const idempotencyKey = key === undefined ? undefined : String(key)
  return { name, principal, ids, query, body, deps, address, sessionToken, idempotencyKey, reply } as AnyCall
}
