/**
 * Owns the providers that an operator declares beside the catalog, or in place of where it has one: another address of the same API. Refuses what the
 * catalog's own records are refused for, but for plain http, whose destinations the egress policy decides on.
 */
import { z } from 'zod'
import { ACCOUNT_HEADERS } from './account.ts'
import { listModelProviders } from './registry.ts'
import { DIALECTS, modelProviderSchema } from './schema.ts'
import type { ModelProvider } from './schema.ts'

const HTTP_BASE = /^https?:\/\/[a-z0-9.[\]:-]+(?:\/[a-zA-Z0-9._~-]+)*$/u
const ENDPOINT = /^https?:\/\/[^\s?#@]+$/u
const FIELD = /^[a-z][a-z0-9_]{0,63}$/u
/** As OpenAI has them. */
const CHAT = { renames: {}, handedBack: [] }
const known = (id: string): ModelProvider | undefined => listModelProviders().find((provider) => provider.id === id)

/** What an operator writes of a provider. Of one in the catalog: its id and what is otherwise about where it lies. */
export const declaredModelProvider = z
  .strictObject({
    id: modelProviderSchema.shape.id,
    base: z.string().max(512).regex(HTTP_BASE, 'must be an http(s) URL in lower case, without query and without a slash at its end'),
    /** Where access tokens are bought, of a provider that takes service accounts. */
    tokenEndpoint: z.string().max(512).regex(ENDPOINT, 'must be an http(s) URL').optional(),
    name: modelProviderSchema.shape.name.optional(),
    dialect: z.enum(DIALECTS).optional(),
    injection: modelProviderSchema.shape.injection,
    defaultHeaders: modelProviderSchema.shape.defaultHeaders.optional(),
    /** What callers may say of the account in which a kept key acts. */
    callerHeaders: z
      .array(z.string().refine((name) => ACCOUNT_HEADERS.has(name), `must be one of ${[...ACCOUNT_HEADERS].join(', ')}`))
      .readonly()
      .optional(),
    /** Below the base. Where nothing is said, of one that speaks like OpenAI: chat, embeddings and models at OpenAI's own. */
    paths: modelProviderSchema.shape.paths.unwrap().optional(),
    /** Fields of OpenAI's chat completions that it refuses. */
    chat: z.strictObject({ lacks: z.array(z.string().regex(FIELD, 'must be the name of a field')).max(100).readonly() }).optional(),
  })
  .superRefine(({ id, tokenEndpoint, dialect, injection }, context) => {
    const record = known(id)
    const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (tokenEndpoint !== undefined && record?.credential !== 'google_service_account')
      refuse('tokenEndpoint', 'is of providers that take service accounts')
    if (record === undefined) return
    if (dialect !== undefined && dialect !== record.dialect) refuse('dialect', 'is fixed for a provider of the catalog')
    if (injection !== undefined) refuse('injection', 'is fixed for a provider of the catalog')
  })

/** A provider as an operator declares it. */
export type DeclaredModelProvider = Readonly<z.output<typeof declaredModelProvider>>

/** The catalog with what was declared in the place of its own, in the order of their ids. Frozen. The last of one id counts. */
export function modelProvidersWith(declared: readonly DeclaredModelProvider[]): readonly ModelProvider[] {
  const all = new Map(listModelProviders().map((provider) => [provider.id, provider]))
  for (const one of declared) all.set(one.id, Object.freeze(made(one, known(one.id))))
  return Object.freeze([...all.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1)))
}

function made(
  { id, base, tokenEndpoint, name, dialect, injection, defaultHeaders, callerHeaders, paths, chat }: DeclaredModelProvider,
  record?: ModelProvider,
): ModelProvider {
  if (record === undefined) {
    return {
      id,
      name: name ?? id,
      docs: base,
      dialect: dialect ?? 'openai',
      credential: 'key',
      base,
      elsewhere: [],
      settings: {},
      optionalSettings: {},
      clients: {},
      paths: paths ?? (dialect === undefined || dialect === 'openai' ? pathsBelow(base) : {}),
      limits: [],
      injection: injection ?? { name: 'authorization', template: 'Bearer {token}' },
      defaultHeaders: defaultHeaders ?? {},
      callerHeaders: callerHeaders ?? [],
      ...(chat !== undefined && { chat: { ...CHAT, lacks: [...chat.lacks] } }),
    }
  }
  return {
    ...record,
    base,
    elsewhere: [],
    paths: paths ?? record.paths,
    name: name ?? record.name,
    defaultHeaders: { ...record.defaultHeaders, ...defaultHeaders },
    callerHeaders: callerHeaders ?? record.callerHeaders,
    ...(chat !== undefined && { chat: { ...CHAT, ...record.chat, lacks: [...chat.lacks] } }),
    ...(tokenEndpoint !== undefined && record.tokens !== undefined && { tokens: { ...record.tokens, endpoint: tokenEndpoint } }),
  }
}

/** OpenAI's own, whether the base holds the version as its clients want it or not. */
function pathsBelow(base: string): ModelProvider['paths'] {
  const version = /\/v\d+$/u.test(base) ? '' : '/v1'
  return { chat: `${version}/chat/completions`, embeddings: `${version}/embeddings`, models: `${version}/models` }
}
