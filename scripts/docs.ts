/**
 * Writes the documents that are made from code: docs/config.md and docs/sallyport.schema.json from the configuration's schema,
 * docs/providers.md from the catalog, docs/model-providers.md from the records of model providers, docs/access.md from the contract. Tests compare them, so that a change without this command is a failed test.
 *
 *   npm run docs
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { providerReference } from '../packages/core/src/catalog/index.ts'
import { modelProviderReference } from '../packages/core/src/models/index.ts'
import { accessReference } from '../packages/server/src/access/index.ts'
import { configJsonSchema, configReference } from '../packages/server/src/config.ts'

const DOCS = join(import.meta.dirname, '../docs')

const DOCUMENTS: Readonly<Record<string, () => string>> = {
  'access.md': accessReference,
  'config.md': configReference,
  'model-providers.md': modelProviderReference,
  'providers.md': providerReference,
  'sallyport.schema.json': () => `${JSON.stringify(configJsonSchema(), undefined, 2)}\n`,
}

for (const [name, text] of Object.entries(DOCUMENTS)) {
  writeFileSync(join(DOCS, name), text())
  process.stdout.write(`docs/${name}\n`)
}
