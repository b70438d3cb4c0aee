/**
 * Owns what `GET /v1/models` lists: the routes of an environment, and the models with a known price of the providers that a key is kept for there. Refuses
 * to ask a provider: what is listed is what is known here, and more can be asked for than is listed.
 */
import type { OrgId } from '@sallyport/core'
import type { Place } from '../db/index.ts'
import type { ModelRoutes } from './model-routes.ts'

/** As OpenAI lists models. */
export interface ListedModel {
  readonly id: string
  readonly object: 'model'
  /** Seconds since 1970; 0 where that isn't known. */
  readonly created: number
  readonly owned_by: string
}

export interface ModelList {
  /** Routes first, then models as `provider/model`, in the order of their names. */
  of(org: OrgId, at: Place): Promise<readonly ListedModel[]>
}

export interface ModelListOptions {
  readonly routes: Pick<ModelRoutes, 'of'>
  /** What is known by name, each once. */
  readonly known: readonly { readonly provider: string; readonly model: string }[]
  /** The providers that a key is kept for, there or by the organization. */
  readonly keptFor: (org: OrgId, at: Place) => Promise<readonly string[]>
}

export function createModelList({ routes, known, keptFor }: ModelListOptions): ModelList {
  const listed = known
    .map(({ provider, model }) => ({ provider, entry: entryOf(`${provider}/${model}`, 0, provider) }))
    .toSorted((a, b) => (a.entry.id < b.entry.id ? -1 : 1))
  return {
    async of(org, at) {
      const [named, providers] = await Promise.all([routes.of(org, at), keptFor(org, at)])
      const has = new Set(providers)
      return [
        ...[...named.values()].map(({ name, createdAt }) => entryOf(name, Math.floor(createdAt.getTime() / 1000), 'sallyport')),
        ...listed.filter(({ provider }) => has.has(provider)).map(({ entry }) => entry),
      ]
    },
  }
}

function entryOf(id: string, created: number, owner: string): ListedModel {
  return { id, object: 'model', created, owned_by: owner }
}
