/** What a Node team would reach for first: Fastify with @fastify/reply-from, no logging, bodies streamed. The upstream's origin is in `BENCH_UPSTREAM`. */
import type { AddressInfo } from 'node:net'
import replyFrom from '@fastify/reply-from'
import Fastify from 'fastify'

const app = Fastify({ logger: false, bodyLimit: 16 * 1024 * 1024 })
await app.register(replyFrom, {
  base: process.env['BENCH_UPSTREAM'] ?? '',
  undici: { connections: 256, pipelining: 1, keepAliveTimeout: 4_000 },
})
app.removeAllContentTypeParsers()
app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
app.all('/*', (request, reply) => reply.from(request.url))

await app.listen({ port: 0, host: '127.0.0.1' })
process.send?.({ type: 'ready', port: (app.server.address() as AddressInfo).port })
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
