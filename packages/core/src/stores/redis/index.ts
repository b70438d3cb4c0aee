export type { RedisAddress } from './connection.ts'
export { createRedisLeases, createRedisStore } from './redis-store.ts'
export type { RedisStoreOptions } from './redis-store.ts'
export { RedisSpill } from './redis-spill.ts'
