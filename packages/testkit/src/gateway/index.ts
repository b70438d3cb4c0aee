/** Real gateways for end-to-end and fault tests, and the usual stage around one. */
export { addMember, addOrganization } from './organization.ts'
export { GatewayRefused, startGatewayProcess } from './process.ts'
export type { GatewayProcess, GatewaySettings } from './process.ts'
export { configFor, connectAccount, createKey, setStage, signInOwner, SLUG } from './stage.ts'
export type { Owner, Place, Stage } from './stage.ts'
