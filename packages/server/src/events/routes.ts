/**
 * Owns the address that providers send events to, and what HTTP says there: the words of RFC 8935 to senders of security event tokens, plain statuses to
 * the others. Refuses large bodies before they are read, and to parse any: what is signed are the bytes.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RouteAccess } from '@sallyport/contract'
import { ProblemError } from '../http/index.ts'
import { EventError } from './errors.ts'
import type { Answer, EventReceiver } from './receiver.ts'

/** Events about grants are small. */
const MAX_BODY_BYTES = 256 * 1024
const RECEIVE: RouteAccess = { audience: 'public', tenant: 'none', audit: 'provider_event.received', bodyLimit: MAX_BODY_BYTES }

type EventRequest = FastifyRequest<{ Params: { context: string } }>

/** Adds the address in a scope of its own, where bodies stay bytes. */
export function registerEventRoutes(app: FastifyInstance, receiver: EventReceiver): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(['application/secevent+jwt', 'application/json'], { parseAs: 'buffer' }, (_request, body, done) =>
      done(null, body),
    )
    scope.post('/events/in/:context', { config: { access: RECEIVE } }, (request: EventRequest, reply) => receive(receiver, request, reply))
  })
}

async function receive(receiver: EventReceiver, request: EventRequest, reply: FastifyReply): Promise<FastifyReply> {
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  try {
    const received = await receiver.receive(request.params.context, singleHeaders(request), body)
    if (received === undefined) throw new ProblemError('overloaded', 'Too many events at once. Send it again.')
    return answer(reply, received)
  } catch (error) {
    return refuse(reply, request, error)
  }
}

/** RFC 8935 section 2.2 wants 202 and no body; the others any 2xx. */
function answer(reply: FastifyReply, { kind, challenge }: Answer): FastifyReply {
  if (challenge !== undefined) return reply.code(200).type('application/json').serializer(String).send(JSON.stringify({ challenge }))
  return reply.code(kind === 'set' ? 202 : 200).send()
}

/** RFC 8935 section 2.3. Whoever sends no token gets a problem. */
function refuse(reply: FastifyReply, request: EventRequest, error: unknown): FastifyReply {
  if (!(error instanceof EventError)) throw error
  const isToken = /^application\/secevent\+jwt\b/iu.test(request.headers['content-type'] ?? '')
  if (error.code === 'event_source_unknown' || !isToken) throw error
  const said = { err: error.reason, description: error.publicDetail }
  return reply
    .code(400)
    .header('content-language', 'en')
    .header('sallyport-error-source', 'gateway')
    .type('application/json')
    .serializer(String)
    .send(JSON.stringify(said))
}

/** A header that came twice is none. */
function singleHeaders({ raw }: EventRequest): Readonly<Record<string, string | undefined>> {
  const headers: Record<string, string | undefined> = Object.create(null) as Record<string, string | undefined>
  const seen = new Set<string>()
  for (let i = 0; i < raw.rawHeaders.length; i += 2) {
    const name = raw.rawHeaders[i]!.toLowerCase()
    headers[name] = seen.has(name) ? undefined : raw.rawHeaders[i + 1]
    seen.add(name)
  }
  return headers
}
