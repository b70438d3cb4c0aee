/** The one place where objects are made and taken apart. */
export { migrateDatabase, startGateway } from './gateway.ts'
export type { Gateway, OwnerLink } from './gateway.ts'
export { openKeyroom } from './keyroom.ts'
export type { Keyroom } from './keyroom.ts'
