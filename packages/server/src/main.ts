/**
 * The `sallyport` command. Owns the words of the command line and the exit codes; refuses to do any work itself.
 *
 *   0 done   1 a fault of ours   2 wrong usage   3 wrong configuration   4 the start was refused (port, folder, database, key)   5 the check failed
 */
import { auditCommand, isBareVerify, verifyExportFile } from './cli/audit.ts'
import type { CommandContext } from './cli/command.ts'
import { EXIT, explain } from './cli/explain.ts'
import { connectionsCommand } from './cli/connections.ts'
import { doctorCommand } from './cli/doctor.ts'
import { isBareGenerate, keysCommand, printRootKey } from './cli/keys.ts'
import { initCommand } from './cli/init.ts'
import { migrateCommand } from './cli/migrate.ts'
import { organizationsCommand } from './cli/organizations.ts'
import { serveCommand } from './cli/serve.ts'
import { usageCommand } from './cli/usage.ts'
import { loadConfig } from './config.ts'

/** How long what was closed may take to let go of the process. */
const LAST_RESORT_MS = 5_000

interface Command {
  readonly run: (context: CommandContext) => Promise<number>
  readonly about: string
  /** It reads, and judges, words of its own. */
  readonly words?: true
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: { run: serveCommand, about: 'run the gateway, its API and console' },
  init: { run: initCommand, about: 'give a production installation its first organization and owner; docs/people.md leads through it' },
  migrate: { run: migrateCommand, about: 'make roles and tables on the Postgres of SALLYPORT_DATABASE_MIGRATION_URL' },
  keys: { run: keysCommand, words: true, about: 'generate, count, rotate, verify and remove keys; docs/keys.md leads through it' },
  connections: {
    run: connectionsCommand,
    words: true,
    about: 'list connections, and end one or many; docs/revocation.md leads through it',
  },
  organizations: {
    run: organizationsCommand,
    words: true,
    about: 'list, export and delete organizations; docs/organizations.md leads through it',
  },
  usage: {
    run: usageCommand,
    words: true,
    about: 'add up what model calls used and cost, and list budgets; docs/usage.md leads through it',
  },
  audit: {
    run: auditCommand,
    words: true,
    about: 'verify and export audit logs, and change the key of their checkpoints; docs/audit.md leads through it',
  },
  doctor: { run: doctorCommand, about: 'explain the effective configuration, redacted, and where each part of it was written' },
}

async function run(argv: readonly string[]): Promise<number> {
  const args = argv.filter((word) => word !== '--json')
  const command = COMMANDS[args[0] ?? '']
  if (command === undefined) {
    process.stdout.write(usage())
    return args[0] === 'help' || args[0] === '--help' ? EXIT.done : EXIT.usage
  }
  const telling = { json: argv.includes('--json'), print: (text: string) => void process.stdout.write(`${text}\n`) }
  if (isBareGenerate(args)) return printRootKey(telling)
  if (isBareVerify(args)) return verifyExportFile({ args: args.slice(1), ...telling })
  const extra = command.words === true ? [] : unknownWords(args.slice(1))
  if (extra.length > 0) {
    process.stderr.write(`sallyport: ${args[0]} takes no ${extra.join(' ')}\n\n${usage()}`)
    return EXIT.usage
  }
  const config = loadConfig({ argv })
  return command.run({ config, args: args.slice(1), ...telling })
}

/** Words that no command knows. `--config <file>` is the configuration's own. */
function unknownWords(words: readonly string[]): string[] {
  return words.filter((word, i) => !word.startsWith('--config=') && word !== '--config' && words[i - 1] !== '--config')
}

function usage(): string {
  const lines = Object.entries(COMMANDS).map(([name, { about }]) => `  ${name.padEnd(15)}${about}`)
  return `sallyport <command> [--json]\n\n${lines.join('\n')}\n\nConfiguration: sallyport.yaml and SALLYPORT_* variables; docs/config.md lists them.\n`
}

try {
  process.exitCode = await run(process.argv.slice(2))
} catch (error) {
  const { code, message } = explain(error)
  process.stderr.write(`sallyport: ${message}\n`)
  process.exitCode = code
}
// Whatever is still open by then has been asked to close and did not.
setTimeout(() => process.exit(), LAST_RESORT_MS).unref()
