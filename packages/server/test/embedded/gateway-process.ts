/**
 * A stand-in for the gateway's process, to be killed: starts the database on the folder given as argument, tells which rows it found, then inserts numbered
 * rows for ever and reports each once it is committed. One JSON object a line.
 */
import { writeSync } from 'node:fs'
import { Client } from 'pg'
import { DataDirError, startEmbeddedPostgres } from '../../src/db/embedded/index.ts'

export type Report =
  | { step: 'progress'; message: string }
  | { step: 'ready'; rows: { run: number; rows: number; last: number }[] }
  | { step: 'committed'; n: number }
  | { step: 'refused'; code: string; message: string }

const [dataDir = '', run = '0'] = process.argv.slice(2)

function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`)
}

try {
  const database = await startEmbeddedPostgres({ dataDir, onProgress: (message) => report({ step: 'progress', message }) })
  const client = new Client({ ...database.connection, password: database.connection.password.reveal() })
  await client.connect()
  await client.query('CREATE TABLE IF NOT EXISTS kept (run int, n int, PRIMARY KEY (run, n))')
  const found = await client.query('SELECT run, count(*)::int AS rows, max(n) AS last FROM kept GROUP BY run ORDER BY run')
  report({ step: 'ready', rows: found.rows })
  for (let n = 1; ; n++) {
    await client.query('INSERT INTO kept VALUES ($1, $2)', [Number(run), n])
    report({ step: 'committed', n })
  }
} catch (error) {
  if (!(error instanceof DataDirError)) throw error
  report({ step: 'refused', code: error.code, message: error.message })
  process.exitCode = 1
}
