/**
 * Owns the form of a model provider's record: where its API lies, how a key of it goes into a call, and in whose words it speaks. Refuses plain
 * http, an address that a setting could lead to another host, and a credential that nothing places.
 */
import { z } from 'zod'

/**
 * In whose words a provider's API speaks, which decides how its errors, its usage and its streams are read.
 * - `openai`: chat completions, responses and embeddings as OpenAI's API has them.
 * - `anthropic`: messages. `gemini`: generateContent. `cohere`: its own chat. `bedrock`: Converse and the models' own bodies.
 */
export const DIALECTS = ['openai', 'anthropic', 'gemini', 'cohere', 'bedrock'] as const
/** How a model provider is spoken to: whose requests, answers and errors its own look like. */
export type Dialect = (typeof DIALECTS)[number]

/**
 * What a customer hands over.
 * - `key`: one text that goes into a header.
 * - `aws`: an access key that signs requests (Signature Version 4).
 * - `google_service_account`: a service account's key file, for which access tokens are bought.
 */
export const MODEL_CREDENTIALS = ['key', 'aws', 'google_service_account'] as const
/** One of `MODEL_CREDENTIALS`. */
export type ModelCredential = (typeof MODEL_CREDENTIALS)[number]

const id = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/u, 'must be 1-31 lower-case letters, digits or hyphens, a letter first')
const https = z.string().refine((text) => URL.canParse(text) && new URL(text).protocol === 'https:', 'must be an https URL')
const headerName = z.string().regex(/^[a-z][a-z0-9-]*$/u, 'must be a lower-case header name')

/** One DNS label: what fills a place in a host can't lead to another host. */
export const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u

const settingName = z.string().regex(/^[a-z][a-z0-9_]{0,30}$/u)

export const modelProviderSchema = z
  .strictObject({
    id,
    name: z.string().min(1).max(60),
    docs: https,
    /** When the record was last held against the provider's own pages, and which. */
    held: z.strictObject({ on: z.iso.date(), pages: z.array(https).min(1) }).optional(),
    dialect: z.enum(DIALECTS),
    credential: z.enum(MODEL_CREDENTIALS),
    /** Without a trailing slash. `{name}` in its host stands for a setting of the key. */
    base: z.string().max(512),
    /** What else a key of this provider needs, none of it secret; each is one DNS label. */
    settings: z.record(settingName, z.string().min(1).max(200)).default({}),
    /** The header that carries a key, and how; `{token}` stands for it. Only of `key`. */
    injection: z.strictObject({ name: headerName, template: z.string().regex(/^[^{}]*\{token\}[^{}]*$/u) }).optional(),
    /** Where access tokens are bought for a service account, and what for. Never where its key file says. Only of `google_service_account`. */
    tokens: z.strictObject({ endpoint: https, scope: z.string().min(1).max(200) }).optional(),
    /** Sent unless the caller sends its own. */
    defaultHeaders: z.record(headerName, z.string().min(1).max(200)).default({}),
  })
  .superRefine((record, context) => {
    for (const fault of faultsOf(record)) context.addIssue({ code: 'custom', message: fault })
  })

/** What a record is written as: what is left out has its default. */
export type ModelProviderInput = z.input<typeof modelProviderSchema>

/** Frozen. */
export type ModelProvider = Readonly<z.output<typeof modelProviderSchema>>

const PLACE = /\{(?<name>[^{}]*)\}/gu
/** https, a host in which settings may stand, and a path in which none may. */
const BASE = /^https:\/\/(?<host>[a-z0-9.{}_-]+)(?:\/[a-z0-9._~-]+)*$/u
/** What is filled in must not be the part that says whose host it is. */
const REGISTERED = /\.[a-z0-9-]+\.[a-z]{2,}$/u

interface Placed {
  readonly base: string
  readonly settings: Readonly<Record<string, string>>
  readonly credential: ModelCredential
  readonly injection?: object | undefined
  readonly tokens?: object | undefined
}

function faultsOf({ base, settings, credential, injection, tokens }: Placed): readonly string[] {
  const host = BASE.exec(base)?.groups?.['host']
  const places = [...base.matchAll(PLACE)].map(({ groups }) => groups!['name']!)
  const faults = []
  if (host === undefined) faults.push('base must be https, with settings in its host alone and no slash at its end')
  else if (places.length > 0 && !REGISTERED.test(host)) faults.push('base must write the registered domain out')
  if (places.some((name) => !Object.hasOwn(settings, name))) faults.push('base holds a place that settings does not name')
  if ((credential === 'key') !== (injection !== undefined)) faults.push('injection is of keys, and keys have one')
  if ((credential === 'google_service_account') !== (tokens !== undefined)) faults.push('tokens is of service accounts, and they need one')
  return faults
}

/** Where calls go for a key with these settings. @throws TypeError when one is missing or no DNS label; see `settingFaults`. */
export function modelBase(provider: Pick<ModelProvider, 'base' | 'settings'>, settings: Readonly<Record<string, string>>): string {
  const [fault] = settingFaults(provider, settings)
  if (fault !== undefined) throw new TypeError(`${fault.name} ${fault.reason}`)
  return provider.base.replaceAll(PLACE, (_all, name: string) => settings[name]!)
}

/** What is wrong with the settings of a key of this provider. */
export function settingFaults(
  provider: Pick<ModelProvider, 'settings'>,
  settings: Readonly<Record<string, string>>,
): readonly { readonly name: string; readonly reason: string }[] {
  const missing = Object.keys(provider.settings).filter((name) => !Object.hasOwn(settings, name))
  return [
    ...missing.map((name) => ({ name, reason: 'is missing' })),
    ...Object.entries(settings).flatMap(([name, value]) => {
      if (!Object.hasOwn(provider.settings, name)) return [{ name, reason: 'is no setting of this provider' }]
      return LABEL.test(value) ? [] : [{ name, reason: 'must be 1-63 lower-case letters, digits or inner hyphens' }]
    }),
  ]
}
