export { startHashicorp } from './hashicorp.ts'
export type { Hashicorp, HashicorpBehaviour } from './hashicorp.ts'
