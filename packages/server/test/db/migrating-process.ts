/** Owns one process that says when it is ready to migrate, does so when told, and tells what it applied. */
import { once } from 'node:events'
import { createLogger, Secret } from '@sallyport/core'
import { migrate } from '../../src/db/migrate.ts'

process.send?.('ready')
await once(process, 'message')
const { applied } = await migrate({
  url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''),
  appRole: { name: process.env['TEST_LOGIN'] ?? '', password: new Secret(process.env['TEST_PASSWORD'] ?? '') },
  logger: createLogger({ level: 'silent', format: 'json' }),
})
process.send?.(applied)
process.disconnect()
