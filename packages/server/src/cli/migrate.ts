/** `sallyport migrate`: brings a Postgres given by URL to this version's tables. The embedded one is migrated by every start. */
import { migrateDatabase } from '../compose/index.ts'
import { CommandError } from './command.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'

export async function migrateCommand({ config, json, print }: CommandContext): Promise<number> {
  if (config.databaseMigrationUrl === undefined) {
    throw new CommandError(
      'Set SALLYPORT_DATABASE_MIGRATION_URL to a login that may create roles; the embedded database is migrated when the gateway starts.',
    )
  }
  const applied = await migrateDatabase(config, config.databaseMigrationUrl)
  print(json ? JSON.stringify({ applied }) : applied.length === 0 ? 'Up to date.' : `Applied: ${applied.join(', ')}`)
  return EXIT.done
}
