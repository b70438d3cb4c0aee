/**
 * Owns the control plane's contract: every operation with its path, shapes and access, in one table. The server serves it, the
 * client is inferred from it, OpenAPI is generated from it. Refuses a second place where a path or a shape is written.
 */
import { apiKeysOperations } from './api-keys.ts'
import { auditOperations } from './audit.ts'
import { catalogOperations } from './catalog.ts'
import { connectingOperations } from './connecting.ts'
import { connectionsOperations } from './connections.ts'
import { dataKeysOperations } from './data-keys.ts'
import { emergencyOperations } from './emergency.ts'
import { identityOperations } from './identity.ts'
import { integrationsOperations } from './integrations.ts'
import { membersOperations } from './members.ts'
import { modelRoutesOperations } from './model-routes.ts'
import { organizationsOperations } from './organizations.ts'
import { limitsOperations } from './limits.ts'
import { projectsOperations } from './projects.ts'
import { providerKeysOperations } from './provider-keys.ts'
import { requestsOperations } from './requests.ts'
import { rootKeysOperations } from './root-keys.ts'
import { storedContentOperations } from './stored-content.ts'
import { signInPolicyOperations } from './sign-in-policy.ts'
import { usageOperations } from './usage.ts'
import type { Operation } from './operation.ts'

export type { Method, Operation } from './operation.ts'

/** Every operation of the control plane, by the name that clients call it by. */
export const operations = {
  ...identityOperations,
  ...catalogOperations,
  ...organizationsOperations,
  ...membersOperations,
  ...signInPolicyOperations,
  ...projectsOperations,
  ...limitsOperations,
  ...apiKeysOperations,
  ...integrationsOperations,
  ...providerKeysOperations,
  ...modelRoutesOperations,
  ...connectingOperations,
  ...connectionsOperations,
  ...requestsOperations,
  ...usageOperations,
  ...storedContentOperations,
  ...dataKeysOperations,
  ...rootKeysOperations,
  ...emergencyOperations,
  ...auditOperations,
} as const satisfies Record<string, Operation>

/** All of them, with their types. */
export type Operations = typeof operations
/** The name of one. */
export type OperationName = keyof Operations
