/** Owns what is published of the configuration: docs/config.md, the JSON Schema, a redacted value. Refuses to be written by hand. */
import { z } from 'zod'
import { Secret } from '@sallyport/core'
import { configSchema, LEAVES } from './schema.ts'
import type { Leaf } from './schema.ts'
import { settingFacts } from './setting.ts'

type JsonObject = Record<string, unknown>

/** The text of docs/config.md. */
export function configReference(): string {
  return [
    '# Configuration',
    '',
    '<!-- Generated from packages/server/src/config/schema.ts by `npm run docs`. Do not edit. -->',
    '',
    'Settings come from `sallyport.yaml` and from `SALLYPORT_*` variables; variables win. The file is the one named by `--config` or',
    '`SALLYPORT_CONFIG`, else `sallyport.yaml` in the working folder, if there. In the file, `${NAME}` stands for a variable of the environment',
    '(`$${NAME}` for those characters). Lists in a variable are separated by commas, `providers` and `models.providers` are JSON there.',
    '',
    'A secret is given by exactly one of the setting itself (`X`) and a file that holds it (`X_FILE`, in `sallyport.yaml` `xFile`).',
    '',
    'Every fault is reported at once, and any fault stops the start: unknown names too. Nothing malformed becomes a default.',
    'In production, anything called `insecure...`, http addresses, missing or published keys, and passwords, tokens and PINs that examples use or that are the name of their user are refused.',
    '`sallyport doctor` shows the effective configuration, redacted.',
    '',
    ...LEAVES.flatMap((leaf) => entry(leaf)),
  ].join('\n')
}

/** JSON Schema (2020-12) of `sallyport.yaml`. */
export function configJsonSchema(): JsonObject {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      if (zodSchema._zod.def.type === 'custom') jsonSchema.type = 'string'
      if (jsonSchema.type === 'object') delete jsonSchema.required
    },
  }) as JsonObject
  const properties = schema['properties'] as JsonObject
  for (const { path } of LEAVES) allowReference(properties, path)
  for (const leaf of LEAVES.filter(({ schema: of }) => settingFacts(of).kind === 'secret')) {
    holderOf(properties, leaf.path)[`${leaf.path.at(-1)}File`] = {
      type: 'string',
      description: `A file that holds ${leaf.name}. Instead of it, never beside it.`,
    }
  }
  return { ...schema, title: 'sallyport.yaml', properties }
}

/** One line for an operator. Secrets give only that they are there. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'not set'
  if (value instanceof Secret) return String(value)
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function entry(leaf: Leaf): string[] {
  const { about, expects, kind } = settingFacts(leaf.schema)
  const variables = kind === 'secret' ? `\`${leaf.variable}\` or \`${leaf.variable}_FILE\`` : `\`${leaf.variable}\``
  const shape = kind === 'secret' ? 'A secret' : `${expects.charAt(0).toUpperCase()}${expects.slice(1)}`
  return [`## ${leaf.name}`, '', about, '', `- Variable: ${variables}`, `- Value: ${shape}.`, `- Default: ${defaultOf(leaf)}.`, '']
}

function defaultOf(leaf: Leaf): string {
  const { otherwise } = settingFacts(leaf.schema)
  if (otherwise !== undefined) return otherwise
  const value: unknown = leaf.schema.parse(undefined)
  return Array.isArray(value) && value.length === 0 ? 'none' : `\`${Array.isArray(value) ? value.join(',') : describeValue(value)}\``
}

/** What isn't any text may be a text all the same: one `${REFERENCE}`, read as the variable would be. */
function allowReference(properties: JsonObject, path: Leaf['path']): void {
  const holder = holderOf(properties, path)
  const key = path.at(-1)!
  const { description, default: otherwise, $schema: _, ...shape } = holder[key] as JsonObject
  if (shape['type'] === 'string' && shape['enum'] === undefined) return
  const annotations = otherwise === undefined ? { description } : { description, default: otherwise }
  holder[key] = { ...annotations, anyOf: [shape, { type: 'string', pattern: String.raw`\$\{[^}]*\}` }] }
}

/** The properties among which a setting stands. */
function holderOf(properties: JsonObject, [name, inner]: Leaf['path']): JsonObject {
  return inner === undefined ? properties : ((properties[name] as JsonObject)['properties'] as JsonObject)
}
