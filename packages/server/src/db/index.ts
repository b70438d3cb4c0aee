/** The one door to PostgreSQL: the only folder that imports its client. */
export { openDatabase } from './database.ts'
export type { Database, DatabaseOptions } from './database.ts'
export { migrate } from './migrate.ts'
export type { MigrateOptions } from './migrate.ts'
export { databaseUrl, isLocalHost, parseDatabaseUrl } from './url.ts'
export type { DatabaseAddress } from './url.ts'
export { creating } from './creation-mark.ts'
export type { Creation } from './creation-mark.ts'
export { DatabaseError, isBusy } from './errors.ts'
export type { DatabaseErrorCode } from './errors.ts'
export type { TenantTx } from './tenant.ts'
export type { Change, ChangeListener } from './changes.ts'
export type {
  ClaimedRevocation,
  ConnectionPlace,
  DataKeyCensus,
  KeyRecord,
  Lookups,
  OAuthStateRecord,
  PersonClaims,
  PersonStanding,
  SessionRecord,
  SessionStanding,
  SignIn,
  Standing,
  SweepCounts,
} from './lookups.ts'
export type { RootKeyUse, SystemStore } from './system.ts'
export type {
  AuditUseMode,
  ConnectSessionStatus,
  ConnectionStatus,
  DataKeyStatus,
  DeletionState,
  EventSourceKind,
  IntentState,
  OrganizationState,
  RevocationCause,
  RevocationState,
  SavedAs,
  StreamStatus,
} from './schema.ts'
export * from './queries/index.ts'
