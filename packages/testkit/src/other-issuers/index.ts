/** Token issuers that others wrote. */
export { startEmulated } from './emulated.ts'
export type { EmulatedName, OtherIssuer, TokenMembers } from './emulated.ts'
export { startOidcProvider } from './oidc-provider.ts'
