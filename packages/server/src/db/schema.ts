/** Owns what the query builder knows of the tables: every column the gateway's role may name. Refuses tables that only functions touch. */
import type { Role, Scope } from '@sallyport/contract'
import type {
  BudgetId,
  BulkRevocationId,
  ConnectionId,
  ConnectSessionId,
  DataKeyId,
  Environment,
  EventSourceId,
  ProviderKeyId,
  IntegrationId,
  InvitationId,
  KeyId,
  ModelRouteId,
  OrgId,
  ProjectId,
  RefreshTrouble,
  RequestId,
  RevocationId,
  UsageId,
  UserId,
} from '@sallyport/core'
import type { ColumnType, Generated, GeneratedAlways } from 'kysely'

export type DeletionState = 'waiting' | 'revoking' | 'destroying'
export type OrganizationState = 'active' | 'deleting'
export type AuditUseMode = 'strict' | 'batched'
export type ConnectionStatus = 'pending' | 'active' | 'insufficient_scope' | 'reconnect_required' | 'revoked'
export type ConnectSessionStatus = 'open' | 'authorizing' | 'awaiting_confirmation' | 'completed' | 'failed'
/** What a refreshed version was when it was saved. */
export type SavedAs = 'head' | 'sibling'
export type IntentState = 'calling' | 'unknown'
export type EventSourceKind = 'set' | 'github' | 'slack'
export type StreamStatus = 'enabled' | 'paused' | 'disabled'
export type RevocationCause = 'disconnected' | 'bulk' | 'end_user_deleted' | 'event' | 'orphaned'
export type RevocationState = 'waiting' | 'done' | 'given_up'
export type BudgetHolderKind = 'organization' | 'project' | 'key'
export type BudgetPeriod = 'day' | 'month' | 'total'
/** `hard`: refuses what would go beyond it. `warn`: says that it was. */
export type BudgetEnforcement = 'hard' | 'warn'
/** What a hard one does with a call whose cost can't be told. */
export type BudgetUnpriced = 'refuse' | 'pass'
export type DataKeyStatus = 'current' | 'previous' | 'destroyed'

/** bigint columns: PostgreSQL's text outside, a bigint in our types. */
type Big = ColumnType<string, bigint | number, bigint | number>
type MadeNow = ColumnType<Date, Date | undefined, Date>

export interface Schema {
  'sallyport.organization': {
    id: OrgId
    name: string
    state: Generated<OrganizationState>
    created_at: MadeNow
  }
  'sallyport.organization_setting': {
    org_id: OrgId
    name: string
    /** Written as JSON text, read as what it says. */
    value: ColumnType<unknown, string, string>
    updated_by: string
    updated_at: MadeNow
  }
  'sallyport.idempotent_creation': {
    org_id: OrgId
    key_hash: Buffer
    request_hash: Buffer
    attempt: string
    state: Generated<'running' | 'made' | 'answered'>
    target: Generated<string | null>
    answer: Generated<Buffer | null>
    answer_under: GeneratedAlways<DataKeyId | null>
    begun_at: MadeNow
  }
  'sallyport.organization_deletion': {
    org_id: OrgId
    requested_by: string
    requested_at: MadeNow
    due_at: Date
    patience_s: number
    state: Generated<DeletionState>
    bulk_id: Generated<BulkRevocationId | null>
    revoking_since: Generated<Date | null>
    next_at: MadeNow
  }
  'sallyport.invitation': {
    org_id: OrgId
    id: InvitationId
    email: string
    role: Role
    token_hash: Buffer
    invited_by: UserId
    created_at: MadeNow
    expires_at: Date
    accepted_at: Generated<Date | null>
    accepted_by: Generated<UserId | null>
    revoked_at: Generated<Date | null>
  }
  'sallyport.project': {
    org_id: OrgId
    id: ProjectId
    name: string
    return_origins: Generated<string[]>
    created_at: MadeNow
    archived_at: Generated<Date | null>
  }
  'sallyport.membership': {
    org_id: OrgId
    person_id: UserId
    role: Role
    created_at: MadeNow
  }
  'sallyport.sign_in_policy': {
    org_id: OrgId
    ways: ColumnType<unknown, string, string>
    break_glass: boolean
    updated_at: MadeNow
  }
  'sallyport.api_key': {
    org_id: OrgId
    id: KeyId
    /** Null: of the organization. */
    project_id: ProjectId | null
    environment: Environment
    name: string
    secret_hmac: Buffer
    secret_argon2id: string
    version: Generated<number>
    scopes: Scope[]
    connection_id: ConnectionId | null
    created_by: string
    /** The key behind `created_by`; null when that is no key. Derived by the database. */
    maker: GeneratedAlways<KeyId | null>
    /** The key that rotated itself into this one. */
    succeeds: KeyId | null
    allowed_addresses: string[] | null
    allowed_origins: string[] | null
    dpop_thumbprint: string | null
    certificate_thumbprint: string | null
    created_at: MadeNow
    expires_at: Date | null
    revoked_at: Date | null
  }
  'sallyport.api_key_use': {
    org_id: OrgId
    id: KeyId
    used_at: Date
  }
  'sallyport.rate_limit': {
    org_id: OrgId
    id: OrgId | ProjectId | KeyId
    holder: 'organization' | 'project' | 'key'
    per_second: number
    burst: number
    changed_at: Generated<Date>
  }
  'sallyport.browser_access': {
    org_id: OrgId
    id: ProjectId
    origins: string[]
    changed_at: Generated<Date>
  }
  'sallyport.data_key': {
    org_id: OrgId
    id: DataKeyId
    /** Null, as `wrapped`, of a destroyed key. */
    root_key_id: string | null
    wrapped: Buffer | null
    status: DataKeyStatus
    created_at: MadeNow
    retired_at: Generated<Date | null>
    overdue_noted_at: Generated<Date | null>
  }
  'sallyport.root_key': {
    id: string
    check_value: Buffer
    created_at: MadeNow
    overdue_noted_at: Generated<Date | null>
  }
  'sallyport.integration': {
    org_id: OrgId
    id: IntegrationId
    project_id: ProjectId
    environment: Environment
    slug: string
    provider: string
    context: string
    client_id: string
    client_secret: Buffer
    client_secret_under: GeneratedAlways<DataKeyId | null>
    scopes: Generated<string[]>
    call_policy: ColumnType<unknown, string | undefined, string>
    created_at: MadeNow
  }
  'sallyport.connection': {
    org_id: OrgId
    id: ConnectionId
    project_id: ProjectId
    environment: Environment
    integration_id: IntegrationId
    end_user_id: string
    status: ConnectionStatus
    generation: Generated<number>
    head_seq: ColumnType<string, bigint | number | undefined, bigint | number>
    granted_scopes: Generated<string[]>
    account_id: string | null
    account_label: string | null
    created_at: MadeNow
    updated_at: MadeNow
    trouble: Generated<RefreshTrouble | null>
    failing_since: Generated<Date | null>
    failed_at: Generated<Date | null>
    retry_at: Generated<Date | null>
    failures: Generated<number>
  }
  'sallyport.credential_version': {
    org_id: OrgId
    connection_id: ConnectionId
    seq: Big
    parent_seq: ColumnType<string | null, bigint | number | null, never>
    generation: number
    rt_fingerprint: Buffer | null
    refreshable: Generated<boolean>
    sealed: Buffer
    sealed_under: GeneratedAlways<DataKeyId | null>
    obtained_at: MadeNow
    expires_at: Date | null
    intent_id: Generated<string | null>
    saved_as: Generated<SavedAs | null>
  }
  'sallyport.refresh_token_holder': {
    org_id: OrgId
    fingerprint: ColumnType<Buffer, Buffer, never>
    connection_id: ConnectionId
    seq: Big
    shared: ColumnType<boolean, boolean, never>
  }
  'sallyport.refresh_intent': {
    org_id: OrgId
    connection_id: ConnectionId
    id: string
    generation: number
    parent_seq: Big
    head_seq: Big
    attempt: number
    node: string
    started_at: MadeNow
    state: Generated<IntentState>
    answer: Generated<Buffer | null>
    answer_under: GeneratedAlways<DataKeyId | null>
  }
  'sallyport.refresh_lease': {
    org_id: OrgId
    connection_id: ConnectionId
    holder: string
    expires_at: Date
  }
  'sallyport.connect_session': {
    org_id: OrgId
    id: ConnectSessionId
    project_id: ProjectId
    environment: Environment
    integration_id: IntegrationId
    connection_id: ConnectionId | null
    reconnect: Generated<boolean>
    end_user_id: string
    link_hash: Buffer
    return_to: string | null
    started_by: string
    console_session_hash: Buffer | null
    status: Generated<ConnectSessionStatus>
    completion_hash: Buffer | null
    completion_attempts: Generated<number>
    failure: string | null
    created_at: MadeNow
    expires_at: Date
  }
  'sallyport.oauth_state': {
    org_id: OrgId
    state_hash: Buffer
    connect_session_id: ConnectSessionId
    context: string
    browser_hash: Buffer
    verifier: Buffer
    verifier_under: GeneratedAlways<DataKeyId | null>
    expires_at: Date
  }
  'sallyport.revocation': {
    org_id: OrgId
    id: RevocationId
    integration_id: IntegrationId
    connection_id: ConnectionId
    account_id: string | null
    cause: RevocationCause
    state: Generated<RevocationState>
    reason: string | null
    /** Null once it is settled. */
    sealed: Buffer | null
    sealed_under: GeneratedAlways<DataKeyId | null>
    attempts: Generated<number>
    made_at: MadeNow
    next_at: MadeNow
    settled_at: Date | null
  }
  'sallyport.bulk_revocation': {
    org_id: OrgId
    id: BulkRevocationId
    project_id: ProjectId | null
    environment: Environment | null
    integration_id: IntegrationId | null
    provider: string | null
    requested_by: string
    state: Generated<'running' | 'done'>
    found: Big
    ended: ColumnType<string, bigint | number | undefined, string>
    last_id: ConnectionId | null
    made_at: MadeNow
    next_at: MadeNow
    finished_at: Date | null
  }
  'sallyport.event_source': {
    org_id: OrgId
    id: EventSourceId
    project_id: ProjectId
    environment: Environment
    integration_id: IntegrationId
    kind: EventSourceKind
    context: string
    secret: Buffer | null
    secret_under: GeneratedAlways<DataKeyId | null>
    issuers: Generated<string[]>
    audiences: Generated<string[]>
    keys_uri: string | null
    untyped: Generated<boolean>
    stream_status: StreamStatus | null
    verified_at: Date | null
    received_at: Date | null
    created_at: MadeNow
  }
  'sallyport.provider_key': {
    org_id: OrgId
    id: ProviderKeyId
    project_id: ProjectId | null
    environment: Environment | null
    provider: string
    name: string
    settings: ColumnType<Record<string, string>, string, never>
    sealed: Buffer | null
    sealed_under: GeneratedAlways<DataKeyId | null>
    mask: string
    fingerprint: Buffer
    replaces: ProviderKeyId | null
    created_by: string
    created_at: MadeNow
    ends_at: Date | null
    revoked_at: Date | null
  }
  'sallyport.stored_content': {
    org_id: OrgId
    id: string
    project_id: ProjectId
    environment: Environment
    request_id: RequestId
    part: 'prompt' | 'response'
    provider: string
    end_user: string | null
    status: number | null
    bytes: ColumnType<string, number, never>
    whole: boolean
    sealed: Buffer
    sealed_under: GeneratedAlways<DataKeyId | null>
    stored_at: MadeNow
    expires_at: Date
  }
  'sallyport.model_route': {
    org_id: OrgId
    id: ModelRouteId
    project_id: ProjectId
    environment: Environment
    name: string
    strategy: 'ordered' | 'weighted'
    /** Written as JSON text, read as what it says. */
    targets: ColumnType<unknown, string, string>
    fallback_on: string[]
    deadline_ms: number
    created_by: string
    created_at: MadeNow
    updated_at: MadeNow
  }
  'sallyport.event_receipt': {
    org_id: OrgId
    source_id: EventSourceId
    event_hash: Buffer
    received_at: MadeNow
  }
  'sallyport.request_record': {
    org_id: OrgId
    id: RequestId
    at: Date
    project_id: ProjectId
    environment: Environment
    integration_slug: string | null
    connection_id: ConnectionId | null
    key_id: KeyId
    method: string
    path: string
    status: number
    source: 'gateway' | 'provider'
    error: string | null
    duration_us: Big
    bytes_in: Big
    bytes_out: Big
    model_provider: string | null
  }
  'sallyport.usage_record': {
    org_id: OrgId
    id: UsageId
    request_id: RequestId
    at: Date
    project_id: ProjectId
    environment: Environment
    key_id: KeyId
    end_user_id: string | null
    provider: string
    model: string | null
    route: string | null
    status: number
    error: string | null
    source: 'measured' | 'estimated' | null
    input_tokens: Big | null
    cached_tokens: Big | null
    written_tokens: Big | null
    output_tokens: Big | null
    reasoning_tokens: Big | null
    cost_nano: Big | null
    duration_us: Big
    first_byte_us: Big | null
  }
  'sallyport.usage_user_day': {
    org_id: OrgId
    project_id: ProjectId
    environment: Environment
    end_user_id: string
  }
  'sallyport.budget': {
    org_id: OrgId
    id: BudgetId
    holder: BudgetHolderKind
    holder_id: OrgId | ProjectId | KeyId
    amount_nano: Big
    period: BudgetPeriod
    enforcement: BudgetEnforcement
    unpriced: BudgetUnpriced
    created_by: string
    created_at: MadeNow
    changed_at: MadeNow
  }
  'sallyport.audit_event': {
    org_id: GeneratedAlways<OrgId>
    seq: GeneratedAlways<string>
    at: GeneratedAlways<Date>
    action: GeneratedAlways<string>
    actor: GeneratedAlways<string>
    target: GeneratedAlways<string>
    detail: GeneratedAlways<string>
    form: GeneratedAlways<number>
    personal: GeneratedAlways<string | null>
    prev_hash: GeneratedAlways<Buffer>
    hash: GeneratedAlways<Buffer>
  }
  'sallyport.audit_subject_key': {
    org_id: OrgId
    id: string
    subject: string
    sealed: Buffer
    sealed_under: GeneratedAlways<DataKeyId | null>
    created_at: MadeNow
  }
  'sallyport.audit_subject_forgotten': {
    org_id: OrgId
    subject: string
    forgotten_at: MadeNow
  }
  'sallyport.end_user_forgotten': {
    org_id: OrgId
    project_id: ProjectId
    environment: Environment
    end_user_id: string
    forgotten_at: MadeNow
  }
  'sallyport.audit_head': {
    org_id: GeneratedAlways<OrgId>
    seq: GeneratedAlways<string>
    hash: GeneratedAlways<Buffer>
  }
  'sallyport.audit_checkpoint': {
    org_id: GeneratedAlways<OrgId>
    number: GeneratedAlways<string>
    seq: GeneratedAlways<string>
    hash: GeneratedAlways<Buffer>
    at: GeneratedAlways<Date>
    previous: GeneratedAlways<Buffer>
    key_id: GeneratedAlways<string>
    signature: GeneratedAlways<Buffer>
  }
  'sallyport.audit_signing_key': {
    id: GeneratedAlways<string>
    public_key: GeneratedAlways<Buffer>
    created_at: GeneratedAlways<Date>
    retired_at: GeneratedAlways<Date | null>
  }
}
