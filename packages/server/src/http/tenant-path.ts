/** Owns reading ids out of a path. Refuses any spelling but the canonical one, and never fills in a tenant that is missing. */
import { ENVIRONMENTS, schemas } from '@sallyport/contract'
import { parseId } from '@sallyport/core'
import type {
  BudgetId,
  BulkRevocationId,
  ConnectSessionId,
  ConnectionId,
  DataKeyId,
  Environment,
  EventSourceId,
  IntegrationId,
  InvitationId,
  KeyId,
  ModelRouteId,
  OrgId,
  ProjectId,
  ProviderKeyId,
  RequestId,
  UserId,
} from '@sallyport/core'
import { ProblemError } from './problem.ts'

/** What each path parameter of the contract becomes. The name decides the kind, on every route. */
export interface PathIds {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
  readonly key: KeyId
  readonly integration: IntegrationId
  readonly session: ConnectSessionId
  readonly connection: ConnectionId
  readonly data_key: DataKeyId
  /** Text that the operator chose; of the installation and no tenant's. */
  readonly root_key: string
  readonly bulk: BulkRevocationId
  readonly source: EventSourceId
  readonly provider_key: ProviderKeyId
  /** One that is no environment's own. */
  readonly organization_provider_key: ProviderKeyId
  readonly model_route: ModelRouteId
  readonly budget: BudgetId
  readonly request: RequestId
  readonly member: UserId
  readonly invitation: InvitationId
  /** The application's own name of a person, opaque here. */
  readonly end_user: string
}

type Readers = { readonly [Name in keyof PathIds]: (text: string) => PathIds[Name] | undefined }

const READERS: Readers = {
  org: (text) => parseId('org', text),
  project: (text) => parseId('proj', text),
  environment: (text) => ENVIRONMENTS.find((environment) => environment === text),
  key: (text) => parseId('key', text),
  integration: (text) => parseId('int', text),
  session: (text) => parseId('cs', text),
  connection: (text) => parseId('conn', text),
  data_key: (text) => parseId('dk', text),
  root_key: (text) => (schemas.rootKeyId.safeParse(text).success ? text : undefined),
  bulk: (text) => parseId('bulk', text),
  source: (text) => parseId('esrc', text),
  provider_key: (text) => parseId('pkey', text),
  organization_provider_key: (text) => parseId('pkey', text),
  model_route: (text) => parseId('mroute', text),
  budget: (text) => parseId('bud', text),
  request: (text) => parseId('req', text),
  member: (text) => parseId('user', text),
  invitation: (text) => parseId('inv', text),
  end_user: (text) => schemas.endUserId.safeParse(text).data,
}

/**
 * The ids that the path names. Names that the contract doesn't know are left out (a hosted page's token is no id).
 * @throws ProblemError `validation_failed` naming every parameter that is missing or misspelt. Says nothing about existence.
 */
export function pathIds(params: unknown): Partial<PathIds> {
  const ids: Record<string, string> = {}
  const faults = []
  for (const [name, text] of Object.entries((params ?? {}) as Record<string, unknown>)) {
    if (!isIdName(name)) continue
    const value = typeof text === 'string' ? READERS[name](text) : undefined
    if (value === undefined) faults.push({ pointer: `/params/${name}`, reason: 'is missing or is no such id' })
    else ids[name] = value
  }
  if (faults.length > 0) throw new ProblemError('validation_failed', 'The path names something that is no id.', { faults })
  return ids
}

function isIdName(name: string): name is keyof PathIds {
  return Object.hasOwn(READERS, name)
}
