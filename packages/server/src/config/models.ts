/** Owns the settings of model traffic: providers that an operator declares. Refuses plain http in production, and anywhere but to opened loopback origins. */
import { z } from 'zod'
import { declaredModelProvider, DEFAULT_EGRESS_POLICY } from '@sallyport/core'
import type { DeclaredModelProvider, EgressPolicy } from '@sallyport/core'
import type { ConfigFault } from './config-error.ts'
import { integer, setting } from './setting.ts'

const HOUR_MS = 3_600_000

/** A model thinks for minutes before it says a word, and writes for longer than other APIs do: more of its calls are under way at a time, too. */
const OF_MODELS = { headersTimeoutMs: 600_000, idleTimeoutMs: 600_000, totalTimeoutMs: HOUR_MS, maxConnectionsPerOrigin: 1_024 } as const

/** What calls of models have of their own. */
export type ModelEgress = { readonly [Name in keyof typeof OF_MODELS]: number }

function ofModels(name: keyof typeof OF_MODELS, range: { readonly min: number; readonly max: number }, about: string) {
  return setting(z.int().min(range.min).max(range.max).optional(), {
    kind: 'integer',
    expects: `a whole number from ${range.min} to ${range.max}`,
    otherwise: `\`${OF_MODELS[name]}\`, or \`egress.${name}\` where that has another value than its default`,
    about,
  })
}

/** What holds where nothing is said: whoever has set it for all calls out meant those of models too. */
export function modelEgress(
  said: { readonly [Name in keyof ModelEgress]?: number | undefined },
  egress: Pick<EgressPolicy, keyof ModelEgress>,
): ModelEgress {
  const of = (name: keyof ModelEgress): number =>
    said[name] ?? (egress[name] === DEFAULT_EGRESS_POLICY[name] ? OF_MODELS[name] : egress[name])
  return {
    headersTimeoutMs: of('headersTimeoutMs'),
    idleTimeoutMs: of('idleTimeoutMs'),
    totalTimeoutMs: of('totalTimeoutMs'),
    maxConnectionsPerOrigin: of('maxConnectionsPerOrigin'),
  }
}

export const models = z.strictObject({
  headersTimeoutMs: ofModels(
    'headersTimeoutMs',
    { min: 1_000, max: HOUR_MS },
    "Longest wait for the headers of a model's answer. One that is not streamed has none before it is written whole.",
  ),
  idleTimeoutMs: ofModels('idleTimeoutMs', { min: 1_000, max: HOUR_MS }, "Longest silence inside a model's answer."),
  maxConnectionsPerOrigin: ofModels(
    'maxConnectionsPerOrigin',
    { min: 1, max: 4096 },
    'Connections kept to one provider of models, beside those of other calls. One organization has at most a quarter of them.',
  ),
  maxRequestBytes: integer(
    { min: 1024, max: 2 * 1024 ** 3, by: 512 * 1024 ** 2 },
    'Largest body of a call below `/llm/` that passes through to its provider, as uploads of files do. One that is read whole before its call is bounded by `limits.maxRequestBytes`.',
  ),
  totalTimeoutMs: ofModels(
    'totalTimeoutMs',
    { min: 1_000, max: 24 * HOUR_MS },
    'Longest call of a model, from its start to the last byte of its answer.',
  ),
  providers: setting(z.array(declaredModelProvider).max(100).default([]), {
    kind: 'json',
    expects:
      'a list of objects with id, base and optionally name, dialect, injection, defaultHeaders, callerHeaders, paths and tokenEndpoint',
    otherwise: '`[]`',
    about:
      "Model providers beside those of the catalog, for any address that speaks like one of them: `id` is what stands in `/llm/<id>/`, `base` where the API begins, `dialect` in whose words it speaks (`openai` where nothing is said; `anthropic`, `gemini`, `cohere`, `bedrock`), `injection` the header that carries its key (`{name, template}` with `{token}` in the template; `authorization` as bearer token where nothing is said), `callerHeaders` which of the headers that name an account callers may send beside a kept key (none where nothing is said), `paths` where below `base` it takes OpenAI's requests (`{chat, responses, embeddings, models}`; all but `responses` at OpenAI's own paths where nothing is said). With an `id` of the catalog: another address for that provider, and `tokenEndpoint` where Vertex AI's access tokens are bought.",
  }),
})

/** Each by itself is judged by its shape. */
export function modelsFaults({
  mode,
  providers = [],
  insecureAllowOrigins,
}: {
  readonly mode: 'development' | 'production' | undefined
  readonly providers: readonly DeclaredModelProvider[] | undefined
  /** Undefined: refused by itself. */
  readonly insecureAllowOrigins: readonly string[] | undefined
}): ConfigFault[] {
  const ids = providers.map(({ id }) => id)
  return providers.flatMap((provider, index) => [
    ...(ids.indexOf(provider.id) === index ? [] : [{ setting: `models.providers[${index}].id`, reason: 'is declared twice' }]),
    ...(['base', 'tokenEndpoint'] as const).flatMap((name) => {
      const reason = plainFault(provider[name], mode, insecureAllowOrigins)
      return reason === undefined ? [] : [{ setting: `models.providers[${index}].${name}`, reason }]
    }),
  ])
}

function plainFault(url: string | undefined, mode: string | undefined, open: readonly string[] | undefined): string | undefined {
  if (!url?.startsWith('http:')) return undefined
  if (mode === 'production') return 'must be https in production'
  const origin = URL.parse(url)?.origin ?? ''
  return open === undefined || open.includes(origin) ? undefined : 'must be https, or its origin listed in egress.insecureAllowOrigins'
}
