/** Owns the settings of model traffic: providers that an operator declares. Refuses plain http in production, and anywhere but to opened loopback origins. */
import { z } from 'zod'
import { declaredModelProvider } from '@sallyport/core'
import type { DeclaredModelProvider } from '@sallyport/core'
import type { ConfigFault } from './config-error.ts'
import { setting } from './setting.ts'

export const models = z.strictObject({
  providers: setting(z.array(declaredModelProvider).max(100).default([]), {
    kind: 'json',
    expects: 'a list of objects with id, base and optionally name, dialect, injection, defaultHeaders, paths and tokenEndpoint',
    otherwise: '`[]`',
    about:
      "Model providers beside those of the catalog, for any address that speaks like one of them: `id` is what stands in `/llm/<id>/`, `base` where the API begins, `dialect` in whose words it speaks (`openai` where nothing is said; `anthropic`, `gemini`, `cohere`, `bedrock`), `injection` the header that carries its key (`{name, template}` with `{token}` in the template; `authorization` as bearer token where nothing is said), `paths` where below `base` it takes OpenAI's requests (`{chat, responses, embeddings, models}`; all but `responses` at OpenAI's own paths where nothing is said). With an `id` of the catalog: another address for that provider, and `tokenEndpoint` where Vertex AI's access tokens are bought.",
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
