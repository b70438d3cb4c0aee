/** The package ships no types; this is the part that its users here agree on. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Account {
    readonly accountId: string
    claims(): Readonly<Record<string, unknown>>
  }

  interface IssuedToken {
    readonly clientId: string
    readonly isExpired: boolean
    readonly scope?: string
  }

  export class Provider {
    constructor(
      issuer: string,
      configuration: Readonly<Record<string, unknown>> & { readonly findAccount: (context: unknown, id: string) => Account },
    )
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
    readonly ClientCredentials: { find(token: string): Promise<IssuedToken | undefined> }
  }
}
