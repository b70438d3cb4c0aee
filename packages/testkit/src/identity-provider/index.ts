/** Identity providers whose tokens sign people in. */
export { startIdentityProvider } from './identity-provider.ts'
export type { Claims, IdentityProvider, IdentityProviderOptions, Signing } from './identity-provider.ts'
export { startCertifiedIssuer } from './oidc-provider.ts'
export type { CertifiedIssuer } from './oidc-provider.ts'
