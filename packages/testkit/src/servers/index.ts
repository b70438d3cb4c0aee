/** The servers a test run starts for itself, and the databases on them. */
export { freePort } from './free-port.ts'
export { ensureTestServers, findChromium, type TestServerOptions, type TestServers } from './test-servers.ts'
export { findPostgres, startTestPostgres, type TestedMajor, type TestPostgres } from './postgres.ts'
export { findPgBouncer, startPgBouncer, type TestPgBouncer } from './pgbouncer.ts'
export { findRedis, startTestRedis, type TestRedis } from './redis.ts'
export { createDatabase, dropDatabase, serverVersionNumber, type TestDatabase } from './database.ts'
export { installDebianPackages, type Progress } from './debian-packages.ts'
