/** Owns docs/model-providers.md: the records of model providers in words, made from them alone. */
import { heldInWords } from '../catalog/index.ts'
import { MODEL_FACTS, statedModelFacts } from './facts.ts'
import { listModelProviders } from './registry.ts'
import type { ModelProvider } from './schema.ts'

const INTRODUCTION = `# Model providers

Made from the records by \`npm run docs\`; a test compares them. An operator adds others, and other addresses of these, by the setting \`models.providers\`.

A client of a vendor is led through the gateway by its base URL: \`/llm/<id>\` of the gateway stands where the vendor's documentation writes the address
below, and what a client writes after it stays. The table says the whole of it for each client.

| Provider | Id | Client | Base URL at the gateway |
| --- | --- | --- | --- |
`

/** The whole document. */
export function modelProviderReference(): string {
  return [`${INTRODUCTION}${listModelProviders().flatMap(clientRows).join('\n')}\n`, ...listModelProviders().map(section)].join('\n')
}

function clientRows({ id, name, clients }: ModelProvider): readonly string[] {
  return Object.entries(clients).map(([client, path]) => `| ${name} | ${code(id)} | ${code(client)} | ${code(`/llm/${id}${path}`)} |`)
}

function section(record: ModelProvider): string {
  return [`## ${record.name}`, '', ...facts(record).map((fact) => `- ${fact}`), ''].join('\n')
}

const CREDENTIALS: Readonly<Record<ModelProvider['credential'], string>> = {
  key: 'A key',
  aws: 'An AWS access key',
  google_service_account: "A service account's key file",
}

const WORDS: Readonly<Record<ModelProvider['dialect'], string>> = {
  openai: "OpenAI's",
  anthropic: "Anthropic's messages",
  gemini: "Gemini's `generateContent`",
  cohere: "Cohere's chat",
  bedrock: "Bedrock's Converse and the models' own",
}

function facts(record: ModelProvider): readonly string[] {
  const { id, docs, base, elsewhere, settings, optionalSettings, dialect, defaultHeaders, paths, limits, notes } = record
  return [
    `Id: ${code(id)}. Its own documentation: <${docs}>`,
    `Its address: ${code(base)}.`,
    ...elsewhere.map((other) => `With the ${other.setting} ${other.is.map(code).join(', ')}: ${code(other.base)}.`),
    ...Object.entries(settings).map(([name, about]) => `Setting ${code(name)}: ${about}.`),
    ...Object.entries(optionalSettings).map(([name, about]) => `Setting ${code(name)}, which may be left out: ${about}.`),
    credential(record),
    ...Object.entries(defaultHeaders).map(([name, value]) => `Sent where a call has none: ${code(`${name}: ${value}`)}.`),
    `Its own words: ${WORDS[dialect]}.`,
    ...(Object.keys(paths).length === 0 ? [] : [`Takes OpenAI's requests: ${labelled(paths)}.`]),
    ...differences(record),
    ...errors(record),
    ...(limits.length === 0 ? [] : [`Speaks of limits in ${limits.map(code).join(', ')}.`]),
    ...(notes ?? []),
    ...heldInWords(record.held, statedModelFacts(record), MODEL_FACTS),
  ]
}

function credential({ credential: kind, injection, signing, tokens }: ModelProvider): string {
  const what = CREDENTIALS[kind]
  if (injection !== undefined) return `${what}, sent as ${code(`${injection.name}: ${injection.template.replace('{token}', '…')}`)}.`
  if (signing !== undefined) return `${what} signs each call (Signature Version 4) for the service ${code(signing.service)}.`
  return `${what} buys access tokens at ${code(tokens!.endpoint)} for the scope ${code(tokens!.scope)}.`
}

function differences({ chat }: ModelProvider): readonly string[] {
  if (chat === undefined) return []
  const renamed = Object.entries(chat.renames).map(([openai, own]) => `calls ${code(openai)} ${code(own)}`)
  const lacking = chat.lacks.length === 0 ? [] : [`refuses ${chat.lacks.map(code).join(', ')}`]
  const back = chat.handedBack.length === 0 ? [] : [`refuses ${chat.handedBack.map(code).join(', ')} of messages that are handed back`]
  return [`Of a chat completion request it ${[...renamed, ...lacking, ...back].join('; ')}.`]
}

function errors({ errors: form }: ModelProvider): readonly string[] {
  if (form === undefined) return []
  const said = form.code === undefined ? '' : `, a code in ${code(form.code.join('.'))}`
  return [`Errors are JSON with their text in ${code(form.message.join('.'))}${said}.`]
}

function labelled(paths: ModelProvider['paths']): string {
  return Object.entries(paths as Readonly<Record<string, string>>)
    .map(([what, path]) => `${what} at ${code(path)}`)
    .join(', ')
}

function code(text: string): string {
  return `\`${text}\``
}
