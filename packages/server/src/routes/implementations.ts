/** Owns the list of all handlers. An operation of the contract that is missing here does not compile. */
import { auditEventList } from './audit-event/list/handler.ts'
import { auditSigningKeyList } from './audit-signing-key/list/handler.ts'
import { auditForget } from './audit-event/forget/handler.ts'
import { auditExport } from './audit-event/export/handler.ts'
import { auditVerify } from './audit-event/verify/handler.ts'
import { bulkRevocationCreate } from './bulk-revocation/create/handler.ts'
import { bulkRevocationGet } from './bulk-revocation/get/handler.ts'
import { connectSessionComplete } from './connect-session/complete/handler.ts'
import { eventSourceCreate } from './event-source/create/handler.ts'
import { eventSourceDelete } from './event-source/delete/handler.ts'
import { eventSourceList } from './event-source/list/handler.ts'
import { connectSessionCreate } from './connect-session/create/handler.ts'
import { connectSessionGet } from './connect-session/get/handler.ts'
import { connectionGet } from './connection/get/handler.ts'
import { connectionImport } from './connection/import/handler.ts'
import { connectionRevoke } from './connection/revoke/handler.ts'
import { endUserDelete } from './end-user/delete/handler.ts'
import { connectionList } from './connection/list/handler.ts'
import { connectionRefresh } from './connection/refresh/handler.ts'
import { dataKeyList } from './data-key/list/handler.ts'
import { dataKeyRemove } from './data-key/remove/handler.ts'
import { dataKeyRotate } from './data-key/rotate/handler.ts'
import { dataKeyShred } from './data-key/shred/handler.ts'
import { dataKeyVerify } from './data-key/verify/handler.ts'
import { whoami } from './identity/whoami/handler.ts'
import { integrationCreate } from './integration/create/handler.ts'
import { integrationDelete } from './integration/delete/handler.ts'
import { integrationGet } from './integration/get/handler.ts'
import { integrationList } from './integration/list/handler.ts'
import { integrationUpdate } from './integration/update/handler.ts'
import { keyCreate, organizationKeyCreate } from './key/create/handler.ts'
import { keyGet, organizationKeyGet } from './key/get/handler.ts'
import { keyList, organizationKeyList } from './key/list/handler.ts'
import { keyRotate, organizationKeyRotate } from './key/rotate/handler.ts'
import { keyRevoke, organizationKeyRevoke } from './key/revoke/handler.ts'
import { keyUpdate, organizationKeyUpdate } from './key/update/handler.ts'
import type { Implementations } from './operation.ts'
import { modelProviderList } from './model-provider/list/handler.ts'
import { modelRouteCreate } from './model-route/create/handler.ts'
import { modelRouteDelete } from './model-route/delete/handler.ts'
import { modelRouteGet } from './model-route/get/handler.ts'
import { modelRouteList } from './model-route/list/handler.ts'
import { modelRouteUpdate } from './model-route/update/handler.ts'
import { organizationProviderKeyCreate, providerKeyCreate } from './provider-key/create/handler.ts'
import { organizationProviderKeyList, providerKeyList } from './provider-key/list/handler.ts'
import { organizationProviderKeyRevoke, providerKeyRevoke } from './provider-key/revoke/handler.ts'
import { organizationProviderKeyRotate, providerKeyRotate } from './provider-key/rotate/handler.ts'
import { organizationContain } from './organization/contain/handler.ts'
import { organizationExport } from './organization/export/handler.ts'
import { organizationList } from './organization/list/handler.ts'
import { organizationCreate } from './organization/create/handler.ts'
import { organizationUpdate } from './organization/update/handler.ts'
import { settingsGet } from './setting/get/handler.ts'
import { settingsUpdate } from './setting/update/handler.ts'
import { memberList } from './member/list/handler.ts'
import { memberUpdate } from './member/update/handler.ts'
import { memberRemove } from './member/remove/handler.ts'
import { organizationDelete } from './organization-deletion/create/handler.ts'
import { organizationDeletionCancel } from './organization-deletion/cancel/handler.ts'
import { organizationDeletionGet } from './organization-deletion/get/handler.ts'
import { organizationLeave } from './organization/leave/handler.ts'
import { invitationList } from './invitation/list/handler.ts'
import { invitationCreate } from './invitation/create/handler.ts'
import { invitationRevoke } from './invitation/revoke/handler.ts'
import { invitationAccept } from './invitation/accept/handler.ts'
import { projectCreate } from './project/create/handler.ts'
import { projectArchive } from './project/archive/handler.ts'
import { projectRestore } from './project/restore/handler.ts'
import { organizationGet } from './organization/get/handler.ts'
import { projectGet } from './project/get/handler.ts'
import { projectList } from './project/list/handler.ts'
import { projectUpdate } from './project/update/handler.ts'
import { providerList } from './provider/list/handler.ts'
import { budgetCreate } from './budget/create/handler.ts'
import { budgetDelete } from './budget/delete/handler.ts'
import { budgetGet } from './budget/get/handler.ts'
import { budgetList } from './budget/list/handler.ts'
import { budgetUpdate } from './budget/update/handler.ts'
import { usageExport } from './usage/export/handler.ts'
import { usageGet } from './usage/get/handler.ts'
import { usageRecordList } from './usage/list/handler.ts'
import { organizationUsageGet } from './usage/organization-get/handler.ts'
import { organizationRateLimitGet } from './rate-limit/organization-get/handler.ts'
import { organizationRateLimitUpdate } from './rate-limit/organization-update/handler.ts'
import { projectRateLimitGet } from './rate-limit/project-get/handler.ts'
import { projectRateLimitUpdate } from './rate-limit/project-update/handler.ts'
import { keyRateLimitGet } from './rate-limit/key-get/handler.ts'
import { keyRateLimitUpdate } from './rate-limit/key-update/handler.ts'
import { browserAccessGet } from './browser-access/get/handler.ts'
import { browserAccessUpdate } from './browser-access/update/handler.ts'
import { requestList } from './request/list/handler.ts'
import { storedContentDelete } from './stored-content/delete/handler.ts'
import { storedContentGet } from './stored-content/get/handler.ts'
import { rootKeyList } from './root-key/list/handler.ts'
import { rootKeyRemove } from './root-key/remove/handler.ts'
import { rootKeyRotate } from './root-key/rotate/handler.ts'
import { sessionCreate } from './session/create/handler.ts'
import { sessionDelete } from './session/delete/handler.ts'
import { signInPolicyGet } from './sign-in-policy/get/handler.ts'
import { signInPolicyUpdate } from './sign-in-policy/update/handler.ts'

export const implementations: Implementations = {
  whoami,
  sessionCreate,
  sessionDelete,
  providerList,
  organizationList,
  organizationCreate,
  organizationGet,
  organizationUpdate,
  organizationExport,
  organizationDelete,
  organizationDeletionGet,
  organizationDeletionCancel,
  settingsGet,
  settingsUpdate,
  memberList,
  memberUpdate,
  memberRemove,
  organizationLeave,
  invitationList,
  invitationCreate,
  invitationRevoke,
  invitationAccept,
  signInPolicyGet,
  signInPolicyUpdate,
  projectList,
  projectCreate,
  projectGet,
  projectUpdate,
  projectArchive,
  projectRestore,
  organizationRateLimitGet,
  organizationRateLimitUpdate,
  projectRateLimitGet,
  projectRateLimitUpdate,
  keyRateLimitGet,
  keyRateLimitUpdate,
  browserAccessGet,
  browserAccessUpdate,
  keyList,
  keyCreate,
  keyGet,
  keyUpdate,
  keyRotate,
  keyRevoke,
  organizationKeyList,
  organizationKeyCreate,
  organizationKeyGet,
  organizationKeyUpdate,
  organizationKeyRotate,
  organizationKeyRevoke,
  integrationList,
  integrationCreate,
  integrationGet,
  integrationUpdate,
  integrationDelete,
  eventSourceList,
  eventSourceCreate,
  eventSourceDelete,
  modelProviderList,
  organizationProviderKeyList,
  organizationProviderKeyCreate,
  organizationProviderKeyRotate,
  organizationProviderKeyRevoke,
  providerKeyList,
  providerKeyCreate,
  providerKeyRotate,
  providerKeyRevoke,
  modelRouteList,
  modelRouteCreate,
  modelRouteGet,
  modelRouteUpdate,
  modelRouteDelete,
  connectSessionCreate,
  connectSessionGet,
  connectSessionComplete,
  connectionList,
  connectionGet,
  connectionImport,
  connectionRefresh,
  connectionRevoke,
  endUserDelete,
  bulkRevocationCreate,
  bulkRevocationGet,
  requestList,
  usageRecordList,
  usageGet,
  organizationUsageGet,
  usageExport,
  budgetList,
  budgetCreate,
  budgetGet,
  budgetUpdate,
  budgetDelete,
  storedContentGet,
  storedContentDelete,
  dataKeyList,
  dataKeyRotate,
  dataKeyVerify,
  dataKeyRemove,
  dataKeyShred,
  rootKeyList,
  rootKeyRotate,
  rootKeyRemove,
  organizationContain,
  auditEventList,
  auditExport,
  auditVerify,
  auditForget,
  auditSigningKeyList,
}
