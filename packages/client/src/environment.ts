/** Owns a shorter way to write calls inside one environment. Refuses to know anything but the names of operations. */
import type { Environment } from '@sallyport/contract'
import type { CallOptions, Client, Input } from './client.ts'

/** One environment of a project. */
export interface EnvironmentAddress {
  readonly org: string
  readonly project: string
  readonly environment: Environment
}

/** The operations of one environment, with its three ids filled in. Answers and failures are those of `Client.call`. */
export function inEnvironment(client: Client, at: EnvironmentAddress) {
  return {
    keys: {
      list: (query: Input<'keyList'>['query'] = {}, options?: CallOptions) => client.pages('keyList', { params: at, query }, options),
      create: (body: Input<'keyCreate'>['body'], options?: CallOptions) => client.call('keyCreate', { params: at, body }, options),
      get: (key: string, options?: CallOptions) => client.call('keyGet', { params: { ...at, key } }, options),
      update: (key: string, body: NonNullable<Input<'keyUpdate'>['body']>, options?: CallOptions) =>
        client.call('keyUpdate', { params: { ...at, key }, body }, options),
      rotate: (key: string, body: NonNullable<Input<'keyRotate'>['body']> = {}, options?: CallOptions) =>
        client.call('keyRotate', { params: { ...at, key }, body }, options),
      revoke: (key: string, options?: CallOptions) => client.call('keyRevoke', { params: { ...at, key } }, options),
    },
    integrations: {
      list: (query: Input<'integrationList'>['query'] = {}, options?: CallOptions) =>
        client.pages('integrationList', { params: at, query }, options),
      create: (body: Input<'integrationCreate'>['body'], options?: CallOptions) =>
        client.call('integrationCreate', { params: at, body }, options),
      get: (integration: string, options?: CallOptions) => client.call('integrationGet', { params: { ...at, integration } }, options),
    },
    connectSessions: {
      create: (body: Input<'connectSessionCreate'>['body'], options?: CallOptions) =>
        client.call('connectSessionCreate', { params: at, body }, options),
      get: (session: string, options?: CallOptions) => client.call('connectSessionGet', { params: { ...at, session } }, options),
      complete: (session: string, body: Input<'connectSessionComplete'>['body'], options?: CallOptions) =>
        client.call('connectSessionComplete', { params: { ...at, session }, body }, options),
    },
    connections: {
      list: (query: Input<'connectionList'>['query'] = {}, options?: CallOptions) =>
        client.pages('connectionList', { params: at, query }, options),
      get: (connection: string, options?: CallOptions) => client.call('connectionGet', { params: { ...at, connection } }, options),
    },
    requests: {
      list: (query: Input<'requestList'>['query'] = {}, options?: CallOptions) =>
        client.pages('requestList', { params: at, query }, options),
    },
  }
}
