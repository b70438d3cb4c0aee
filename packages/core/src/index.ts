/** The engine: credentials, their life and their guarded use. Knows nothing of tenants' tables, Fastify, pg or React. */
export * from './kernel/index.ts'
export * from './observability/index.ts'
export * from './crypto/index.ts'
export * from './http/index.ts'
export * from './keysources/index.ts'
export * from './tokens/index.ts'
export * from './oauth/index.ts'
export * from './catalog/index.ts'
