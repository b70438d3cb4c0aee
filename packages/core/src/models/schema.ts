/**
 * Owns the form of a model provider's record: where its API lies, how a key of it goes into a call, and in whose words it speaks. Refuses plain
 * http, an address that a setting could lead to another host, and a credential that nothing places.
 */
import { z } from 'zod'
import { heldForm } from '../catalog/index.ts'
import { MODEL_FACTS } from './facts.ts'

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

const base = z.string().max(512)
/** Below the base. */
const path = z.string().regex(/^(?:\/[A-Za-z0-9._~-]+)+$/u, 'must be an absolute path without a slash at its end')
const memberPath = z.array(z.string().min(1)).min(1).max(4)

/** Of a request's JSON. */
const field = z.string().regex(/^[a-z][a-z_]{0,60}$/u)

const form = z.strictObject({
  id,
  name: z.string().min(1).max(60),
  docs: https,
  /** When the record was last held against what the vendor itself publishes. */
  held: heldForm(MODEL_FACTS).optional(),
  /** What else the vendor documents and people ask for: one sentence each. */
  notes: z.array(z.string().min(1).max(200)).min(1).optional(),
  dialect: z.enum(DIALECTS),
  credential: z.enum(MODEL_CREDENTIALS),
  /** Without a trailing slash. `{name}` in its host stands for a setting of the key. */
  base,
  /** Where a setting has one of these values: another base in place of that one. */
  elsewhere: z.array(z.strictObject({ setting: settingName, is: z.array(z.string().regex(LABEL)).min(1), base })).default([]),
  /** What else a key of this provider needs, none of it secret; each is one DNS label. */
  settings: z.record(settingName, z.string().min(1).max(200)).default({}),
  /** What it may have beside, likewise. None of them stands in a host. */
  optionalSettings: z.record(settingName, z.string().min(1).max(200)).default({}),
  /** The header that carries a key, and how; `{token}` stands for it. Only of `key`. */
  injection: z.strictObject({ name: headerName, template: z.string().regex(/^[^{}]*\{token\}[^{}]*$/u) }).optional(),
  /** Sent unless the caller sends its own. */
  defaultHeaders: z.record(headerName, z.string().min(1).max(200)).default({}),
  /** Of the headers that say in which account a key acts: those that a caller may send beside a kept key. See `withinAccount`. */
  callerHeaders: z.array(headerName).readonly().default([]),
  /** What signatures of calls name as their service. Only of `aws`. */
  signing: z.strictObject({ service: z.string().regex(/^[a-z0-9-]{1,63}$/u) }).optional(),
  /**
   * Where access tokens are bought for assertions that a service account's key signs (RFC 7523), and for which scope. Never where its key file says.
   * Only of `google_service_account`.
   */
  tokens: z.strictObject({ endpoint: https, scope: z.string().min(1).max(200) }).optional(),
  /**
   * What stands between the base and the paths of a client, by the client's package: a client whose base URL is written with a version has it there.
   * The vendor's own, and OpenAI's where it is one that the vendor names.
   */
  clients: z.record(z.string().regex(/^(?:@[a-z0-9-]+\/)?[a-z0-9-]+$/u), path.or(z.literal(''))).default({}),
  /**
   * Where it takes OpenAI's own requests for every model of its kind, below the base. Absent: what its dialect says is sent in their place, or there
   * is nothing of the kind. A compatible address that reaches fewer models or says less than its own words stands in `notes`.
   */
  paths: z.strictObject({ chat: path, responses: path, embeddings: path, models: path }).partial().default({}),
  /**
   * Where its chat completions differ from OpenAI's: what it calls a field, and fields that it refuses. One of those is left out when it asks for
   * nothing, or for what happens anyway; else the provider says itself that it won't have it. `handedBack`: what answers of other vendors carry beyond
   * OpenAI's, which callers hand back with their messages and it refuses there.
   */
  chat: z
    .strictObject({
      renames: z.record(field, field).default({}),
      lacks: z.array(field).default([]),
      handedBack: z.array(field).default([]),
    })
    .optional(),
  /** Where an error's JSON holds its text and, where it has one, its code. */
  errors: z.strictObject({ message: memberPath, code: memberPath.optional() }).optional(),
  /** Headers in which answers speak of limits: of every answer, or of those that refuse alone. */
  limits: z.array(headerName).default([]),
})

/** A record whose parts agree. */
export const modelProviderSchema = form.superRefine((record, context) => {
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

/** A record as it is written, of which `faultsOf` sees what must agree. */
type Placed = Pick<z.output<typeof form>, 'base' | 'elsewhere' | 'settings' | 'credential' | 'injection' | 'signing' | 'tokens'>

function faultsOf(record: Placed): readonly string[] {
  const faults = [record, ...record.elsewhere].flatMap((one) => baseFaults(one.base, record.settings))
  if (record.elsewhere.some(({ setting }) => !Object.hasOwn(record.settings, setting))) faults.push('elsewhere is of a setting')
  const needs = { injection: 'key', signing: 'aws', tokens: 'google_service_account' } as const
  for (const [name, credential] of Object.entries(needs) as [keyof typeof needs, ModelCredential][]) {
    if ((record.credential === credential) !== (record[name] !== undefined))
      faults.push(`${name} is of the credential ${credential}, which has one`)
  }
  return faults
}

function baseFaults(text: string, settings: Placed['settings']): string[] {
  const host = BASE.exec(text)?.groups?.['host']
  const places = [...text.matchAll(PLACE)].map(({ groups }) => groups!['name']!)
  const faults = []
  if (host === undefined) faults.push('base must be https, with settings in its host alone and no slash at its end')
  else if (places.length > 0 && !REGISTERED.test(host)) faults.push('base must write the registered domain out')
  if (places.some((name) => !Object.hasOwn(settings, name))) faults.push('base holds a place that settings does not name')
  return faults
}

/** Where calls go for a key with these settings. @throws TypeError when one is missing or no DNS label; see `settingFaults`. */
export function modelBase(
  provider: Pick<ModelProvider, 'base' | 'elsewhere' | 'settings' | 'optionalSettings'>,
  settings: Readonly<Record<string, string>>,
): string {
  const [fault] = settingFaults(provider, settings)
  if (fault !== undefined) throw new TypeError(`${fault.name} ${fault.reason}`)
  const { base: chosen } = provider.elsewhere.find(({ setting, is }) => is.includes(settings[setting]!)) ?? provider
  return chosen.replaceAll(PLACE, (_all, name: string) => settings[name]!)
}

/** What is wrong with the settings of a key of this provider. */
export function settingFaults(
  provider: Pick<ModelProvider, 'settings' | 'optionalSettings'>,
  settings: Readonly<Record<string, string>>,
): readonly { readonly name: string; readonly reason: string }[] {
  const missing = Object.keys(provider.settings).filter((name) => !Object.hasOwn(settings, name))
  return [
    ...missing.map((name) => ({ name, reason: 'is missing' })),
    ...Object.entries(settings).flatMap(([name, value]) => {
      if (!Object.hasOwn(provider.settings, name) && !Object.hasOwn(provider.optionalSettings, name))
        return [{ name, reason: 'is no setting of this provider' }]
      return LABEL.test(value) ? [] : [{ name, reason: 'must be 1-63 lower-case letters, digits or inner hyphens' }]
    }),
  ]
}
