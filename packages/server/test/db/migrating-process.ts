/** Owns one process that migrates the database named by its environment and prints what it applied. */
import { createLogger, Secret } from '@sallyport/core'
import { migrate } from '../../src/db/migrate.ts'

const { applied } = await migrate({
  url: new Secret(process.env['TEST_DATABASE_URL'] ?? ''),
  appRole: { name: process.env['TEST_LOGIN'] ?? '', password: new Secret(process.env['TEST_PASSWORD'] ?? '') },
  logger: createLogger({ level: 'silent', format: 'json' }),
})
process.stdout.write(JSON.stringify(applied))
