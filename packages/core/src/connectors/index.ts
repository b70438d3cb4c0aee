/** Items of providers in one form, page by page. */
import type { Connector } from './connector.ts'
import { feed } from './feed.ts'
import { github } from './github.ts'
import { google } from './google.ts'
import { microsoft } from './microsoft.ts'
import { reddit } from './reddit.ts'
import { slack, slackUser } from './slack.ts'
import { x } from './x.ts'

export type { Action, Collection, CollectionOptions, Connector, ConnectorAnswer, ConnectorCall, ConnectorRequest } from './connector.ts'
export * from './errors.ts'
export { collectionOf } from './features.ts'
export { readFeed } from './feed.ts'
export { itemSchema } from './item.ts'
export type { Item, ItemKind } from './item.ts'

/** Every connector, by its provider's id, and `feed`. */
export const CONNECTORS: ReadonlyMap<string, Connector> = new Map(
  [feed, github, google, microsoft, reddit, slack, slackUser, x].map((connector) => [connector.id, connector]),
)
