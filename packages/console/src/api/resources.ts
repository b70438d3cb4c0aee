/** What the API gives, by the names the screens use. */
import type { Item, Output } from '@sallyport/client'

export type WhoAmI = Output<'whoami'>
export type Provider = Output<'providerList'>['data'][number]
export type Project = Item<'projectList'>
export type Integration = Item<'integrationList'>
export type Connection = Item<'connectionList'>
export type ConnectSession = Output<'connectSessionGet'>
export type ApiKey = Item<'keyList'>
export type NewKey = Output<'keyCreate'>
export type RequestRecord = Item<'requestList'>
export type AuditEvent = Item<'auditEventList'>
export type AuditVerification = Output<'auditVerify'>
