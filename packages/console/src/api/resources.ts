/** What the API gives, by the names the screens use. */
import type { Item, Output } from '@sallyport/client'
import type { schemas } from '@sallyport/contract'

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
export type ModelProvider = Output<'modelProviderList'>['data'][number]
export type ProviderKey = Item<'providerKeyList'>
export type ModelRoute = Item<'modelRouteList'>
export type ModelTarget = ModelRoute['targets'][number]
export type SettingsInForce = Output<'settingsGet'>
export type UsageRecord = Item<'usageRecordList'>
export type UsageReport = Output<'usageGet'>
export type UsageSum = UsageReport['data'][number]
export type UsageGroup = (typeof schemas.USAGE_GROUPS)[number]
export type Budget = Item<'budgetList'>
