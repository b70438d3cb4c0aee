/** Issuers that end sessions here: OpenID Connect Back-Channel Logout 1.0. */
export { createBackChannelLogout } from './back-channel-logout.ts'
export type { BackChannelLogout, BackChannelLogoutOptions } from './back-channel-logout.ts'
