/** Everything tests need around the product: servers, counterparts, and the product itself as a process. Never imported by a `src`. */
export * from './aws/index.ts'
export * from './gateway/index.ts'
export * from './hashicorp/index.ts'
export * from './issuer/index.ts'
export * from './refresh-proof/index.ts'
export * from './servers/index.ts'
export * from './softhsm/index.ts'
export * from './upstream/index.ts'
