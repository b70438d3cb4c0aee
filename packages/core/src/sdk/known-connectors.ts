/** Owns which connector reads and does what at a provider: the application's own, or the catalog's of that name. Refuses names that it does not have. */
import { CONNECTORS } from '../connectors/index.ts'
import type { Action, Collection, Connector } from '../connectors/index.ts'
import type { ConfiguredProvider } from './config.ts'
import { SdkError } from './errors.ts'

/** What an application brings for a provider of its own. */
export type OwnConnector = Pick<Connector, 'collections' | 'actions'>

export class KnownConnectors {
  readonly #provider: (name: string) => ConfiguredProvider
  readonly #own = new Map<string, OwnConnector>()

  constructor(provider: (name: string) => ConfiguredProvider) {
    this.#provider = provider
  }

  /** In place of the catalog's, where there is one. */
  register(provider: string, connector: OwnConnector): void {
    this.#own.set(provider, connector)
  }

  /** @throws SdkError `collection_unknown`, `provider_unknown` */
  collection(provider: string, name: string): Collection {
    const { collections = {} } = this.#of(provider) ?? {}
    if (Object.hasOwn(collections, name)) return collections[name]!
    throw new SdkError('collection_unknown', `${provider} has no such collection (${listed(collections)})`)
  }

  /** @throws SdkError `action_unknown`, `provider_unknown` */
  action(provider: string, name: string): Action {
    const { actions = {} } = this.#of(provider) ?? {}
    if (Object.hasOwn(actions, name)) return actions[name]!
    throw new SdkError('action_unknown', `${provider} has no such action (${listed(actions)})`)
  }

  #of(provider: string): OwnConnector | undefined {
    return this.#own.get(provider) ?? CONNECTORS.get(this.#provider(provider).record.id)
  }
}

function listed(names: Readonly<Record<string, unknown>>): string {
  return Object.keys(names).join(', ') || 'it has none'
}
