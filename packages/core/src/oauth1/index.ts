export * from './encoding.ts'
export * from './flow.ts'
export { oauth1Authorization, oauth1Moment } from './signature.ts'
export type { OAuth1Client, OAuth1Credential, OAuth1Extra, OAuth1Moment, OAuth1Request, OAuth1Signing } from './signature.ts'
