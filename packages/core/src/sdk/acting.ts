/**
 * Owns doing one thing at a provider in a user's name, as its connector says how. Refuses to do it twice: what may have arrived is not sent again, by
 * nobody here; and to ask another provider, as what was meant for one is not meant for another.
 */
import type { Item } from '../connectors/index.ts'
import type { Calling } from './calling.ts'
import type { ConnectionName } from './events.ts'
import type { KnownConnectors } from './known-connectors.ts'

/** The actions of the providers that come with a connector. */
export interface KnownActions {
  readonly x: 'post'
}

/** Something to be done at a provider in the name of a user. */
export interface ActionRequest<Name extends string = string> extends ConnectionName {
  readonly provider: Name
  readonly action: Name extends keyof KnownActions ? KnownActions[Name] : string
  /** What the action takes, such as `text`: docs/connectors.md has it. */
  readonly params?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

/** What came of it, and where. */
export type DoneItem = Item & { readonly provider: string }

export interface ActingParts {
  readonly connectors: KnownConnectors
  readonly calling: Pick<Calling, 'request'>
}

export class Acting {
  readonly #parts: ActingParts

  constructor(parts: ActingParts) {
    this.#parts = parts
  }

  async act({ provider, userId, action, params = {}, signal }: ActionRequest): Promise<DoneItem> {
    const { connectors, calling } = this.#parts
    const perform = connectors.action(provider, action)
    const of = { provider, userId, ...(signal === undefined ? {} : { signal }) }
    return { ...(await perform((call) => calling.request({ ...call, ...of }), params)), provider }
  }
}
