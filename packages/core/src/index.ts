/** The engine: credentials, their life and their guarded use. Knows nothing of tenants' tables, Fastify, pg or React. */
export * from './kernel/index.ts'
export * from './observability/index.ts'
export * from './crypto/index.ts'
export * from './http/index.ts'
