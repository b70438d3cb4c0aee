/** An authorization server that can be told to misbehave. */
export { LAWFUL } from './behaviour.ts'
export type { IssuerBehaviour, TokenBehaviour } from './behaviour.ts'
export { startIssuer } from './issuer.ts'
export type { Issuer } from './issuer.ts'
