/** The package ships no types; this is the part that every user of it here agrees on. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http'

  interface Account {
    readonly accountId: string
    claims(): Readonly<Record<string, unknown>>
  }

  export class Provider {
    constructor(
      issuer: string,
      configuration: Readonly<Record<string, unknown>> & { readonly findAccount: (context: unknown, id: string) => Account },
    )
    callback(): (request: IncomingMessage, response: ServerResponse) => Promise<void>
  }
}
