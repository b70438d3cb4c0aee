/** Owns the shapes that several operations share: ids, lists, and the resources themselves. Refuses unknown fields in requests. */
import { z } from 'zod'
import { ENVIRONMENTS, ROLES, SCOPES } from './access.ts'
import { PROBLEM_CODES, TROUBLES } from './problem.ts'

const id = (prefix: string, what: string) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9A-Za-z]{22}$`, 'u'), `must be ${prefix}_ and 22 base62 digits`)
    .describe(what)

/** `org_...` */
export const orgId = id('org', 'Organization id')
/** `proj_...` */
export const projectId = id('proj', 'Project id')
/** `key_...` */
export const keyId = id('key', 'API key id')
/** `int_...` */
export const integrationId = id('int', 'Integration id')
/** `conn_...` */
export const connectionId = id('conn', 'Connection id')
/** `cs_...` */
export const connectSessionId = id('cs', 'Connect session id')
/** `req_...` */
export const requestId = id('req', 'Request id')
/** `esrc_...` */
export const eventSourceId = id('esrc', 'Event source id')
/** `bulk_...` */
export const bulkRevocationId = id('bulk', 'Bulk revocation id')
/** `dk_...` */
export const dataKeyId = id('dk', 'Data key id')
/** `inv_...` */
export const invitationId = id('inv', 'Invitation id')
/** `pkey_...` */
export const providerKeyId = id('pkey', 'Key of a model provider')
/** `mroute_...` */
export const modelRouteId = id('mroute', 'Route of model calls')
/** `use_...` */
export const usageId = id('use', 'Record of what one model call used')
/** `bud_...` */
export const budgetId = id('bud', 'Budget')
/** `user_...` */
export const personId = id('user', 'Person id')

/** `live` or `test`. */
export const environment = z.enum(ENVIRONMENTS)
/** A moment, in UTC. */
export const timestamp = z.iso.datetime().describe('RFC 3339, UTC')

/** The name of an integration inside its project and environment, as it stands in `/proxy/{integration}/...`. */
export const origin = z.string().max(255).describe('scheme://host[:port], nothing more; https unless loopback in development')
/** The name of an integration in addresses: unique in its environment. */
export const integrationSlug = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/u, 'must be 1-63 lower-case letters, digits or inner hyphens')

/**
 * Text that shows as what it is: no control characters, no line or paragraph separators, no half of a surrogate pair, and none of the controls of
 * the bidirectional algorithm (UAX #9), which make text and what stands beside it read in another order than they are.
 */
// oxlint-disable-next-line no-control-regex -- control characters are exactly what is refused
const PLAIN = /^[^\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+$/u
const PLAIN_REASON = 'must hold no control characters, nor controls of text direction'

/** The application's own id of the person whose account is connected. Opaque to the gateway. */
export const endUserId = z.string().min(1).max(255).regex(PLAIN, PLAIN_REASON)

/** A name that people gave, without controls: 1 to 120 characters. */
export const name = z.string().trim().min(1).max(120).regex(PLAIN, PLAIN_REASON)

/** A query is text: decimal digits are a number, other spellings of numbers that JavaScript knows are none. */
const digits = (value: number | string): unknown => (typeof value === 'string' && /^\d{1,3}$/u.test(value) ? Number(value) : value)

/** Which page of a list: 1 to 200 rows, and from where on. */
export const pageQuery = z.strictObject({
  limit: z.preprocess(digits, z.int('must be a number in decimal digits').min(1).max(200)).default(50).describe('Rows per page'),
  cursor: z.string().max(512).optional().describe('`next_cursor` of the page before; bound to this list and tenant'),
})

/** A page of a list. `next_cursor` null: there is no more. */
export const pageOf = <Item extends z.ZodType>(item: Item) => z.object({ data: z.array(item), next_cursor: z.string().nullable() })

/** Who calls, and what they may. */
export const whoami = z
  .object({
    kind: z.enum(['key', 'person']),
    id: z.string(),
    name: z.string().nullable(),
    memberships: z
      .array(
        z.object({
          org: orgId,
          role: z.enum(ROLES),
          admitted: z.boolean().describe('False: the organization takes another way of signing in than this session was signed in by'),
        }),
      )
      .describe('People only'),
    email: z.string().nullable().describe('Of a person, where an issuer that may speak for it called it verified'),
    signed_in: z
      .object({
        issuer: z.string().describe('`local`: by a one-time link of the installation'),
        methods: z.array(z.string()).describe('As the issuer names them (`amr`)'),
        assurance: z.enum(['aal1', 'aal2']).describe('`aal2`: with a second factor, which what can not be undone asks for'),
        provider: z.string().nullable().describe('The identity provider behind the issuer, where this sign-in went through it'),
        authenticated_at: timestamp.describe('When the person proved who they are, as far as the issuer says'),
        step_up_until: timestamp
          .nullable()
          .describe('Until when that is recent enough for what can not be undone; null: without a second factor'),
      })
      .nullable()
      .describe('How this session or token was signed in; of people only'),
    key: z
      .object({
        org: orgId,
        project: projectId.nullable().describe('null: a key of the organization'),
        environment,
        scopes: z.array(z.enum(SCOPES)),
        connection: connectionId.nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'WhoAmI' })

/** One way of signing in that an organization admits. */
export const signInWay = z
  .strictObject({
    issuer: z.string().min(1).max(4096).describe('Of `jwtIssuers`, exactly so written'),
    provider: z
      .string()
      .regex(/^sso:[\w-]{1,64}$/u, 'must be sso: and the id of an identity provider')
      .nullable()
      .default(null)
      .describe('Of a Supabase issuer: the identity provider that the sign-in must have gone through. null elsewhere'),
  })
  .meta({ id: 'SignInWay' })

/** How people have to sign in to be admitted. */
export const signInPolicy = z
  .object({
    ways: z.array(signInWay).nullable().describe('null: any way is taken'),
    break_glass: z.boolean(),
    updated_at: timestamp.nullable(),
  })
  .meta({ id: 'SignInPolicy' })

/** A tenant. */
export const organization = z.object({ id: orgId, name: z.string(), created_at: timestamp }).meta({ id: 'Organization' })

/** How far the deletion of an organization has come. */
export const DELETION_STATE = ['waiting', 'revoking', 'destroying'] as const

/** An organization that is being deleted. */
export const organizationDeletion = z
  .object({
    state: z
      .enum(DELETION_STATE)
      .describe(
        '`waiting`: it can be taken back; `revoking`: connections end at their providers; `destroying`: keys and rows go. Then it is not found',
      ),
    requested_by: z.string(),
    requested_at: timestamp,
    due_at: timestamp.describe('Until when it can be taken back'),
  })
  .meta({ id: 'OrganizationDeletion' })

/** An organization of the caller, and what the caller is in it. */
export const ownOrganization = organization.extend({ role: z.enum(ROLES) }).meta({ id: 'OwnOrganization' })

/**
 * An e-mail address in ASCII, without quotes or comments. Letters are made small: what differs only in their size is one address. Other alphabets
 * are refused, since some of their letters look like ours, or become ours when they are made small.
 */
export const email = z
  .string()
  .max(254)
  .regex(
    /^[!#-'*+/-9=?A-Z^-~-]+(?:\.[!#-'*+/-9=?A-Z^-~-]+)*@[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?(?:\.[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?)*$/u,
    'must be an e-mail address in ASCII',
  )
  .toLowerCase()

/** As it stands behind the `@`. Subdomains are domains of their own. */
export const emailDomain = z
  .string()
  .max(253)
  .regex(/^[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?(?:\.[0-9A-Za-z](?:[0-9A-Za-z-]*[0-9A-Za-z])?)+$/u, 'must be a domain in ASCII')
  .toLowerCase()

/** A person in an organization. */
export const member = z
  .object({
    id: personId,
    name: z.string(),
    email: z.string().nullable().describe('As the issuer of the sign-in says it'),
    email_verified: z.boolean(),
    role: z.enum(ROLES),
    created_at: timestamp.describe('Since when a member'),
  })
  .meta({ id: 'Member' })

/** What became of an invitation. */
export const INVITATION_STATE = ['open', 'accepted', 'revoked', 'expired'] as const

/** Somebody who is asked into an organization. Its link is shown once, when it is made. */
export const invitation = z
  .object({
    id: invitationId,
    email: z.string(),
    role: z.enum(ROLES),
    state: z.enum(INVITATION_STATE),
    invited_by: personId,
    accepted_by: personId.nullable(),
    created_at: timestamp,
    expires_at: timestamp,
  })
  .meta({ id: 'Invitation' })

/** A project of an organization. */
export const project = z
  .object({
    id: projectId,
    name: z.string(),
    return_origins: z.array(z.string()).describe('Exact origins a connect session may return to'),
    created_at: timestamp,
    archived_at: timestamp.nullable().describe('Since when its keys are refused and nothing is made in it; null: it is in use'),
  })
  .meta({ id: 'Project' })

const requestFigure = z.int().min(1).max(1_000_000)

/** Calls a second on average, and how many at once. */
export const rateFigures = z
  .strictObject({
    per_second: requestFigure.describe('Requests a second in the long run'),
    burst: requestFigure.describe('Requests that may come at once after a rest'),
  })
  .meta({ id: 'RateFigures' })

/** The limit in force, and whose it is. */
export const rateLimit = z
  .object({
    per_second: z.int().describe('As it holds now'),
    burst: z.int().describe('As it holds now'),
    set: rateFigures.nullable().describe("As it was set; null: the installation's standard holds"),
    most: rateFigures.describe('The most that the installation allows'),
    changed_at: timestamp.nullable(),
  })
  .meta({ id: 'RateLimit' })

/** Whose pages may call with keys. */
export const browserAccess = z
  .object({ origins: z.array(z.string()).describe("Exact origins whose pages may call with the project's keys; empty: none") })
  .meta({ id: 'BrowserAccess' })

/** Judged whole by the gateway: the families, the prefix, and that no bit stands after it. */
export const addressRange = z
  .string()
  .regex(/^[0-9A-Fa-f.:]{2,45}(?:\/\d{1,3})?$/u)
  .describe('An address, or a range in CIDR notation')

/** Addresses or ranges, as CIDR: 1 to 50. */
export const addressRanges = z.array(addressRange).min(1).max(50)

/** Judged whole by the gateway: exactly what a browser sends in `Origin`. */
export const keyOrigins = z.array(origin).min(1).max(50)

/** The only sender that a key is taken from. */
export const keySender = z
  .strictObject({
    kind: z.enum(['dpop', 'certificate']).describe('A JWK proven by DPoP (RFC 9449), or a TLS client certificate (RFC 8705)'),
    thumbprint: z
      .string()
      .regex(/^[0-9A-Za-z_-]{43}$/u)
      .describe('SHA-256 in base64url: of the JWK (RFC 7638), or of the DER of the certificate (x5t#S256)'),
  })
  .meta({ id: 'KeySender' })

/** A gateway key, without its secret: that is shown once, when it is made. */
export const apiKey = z
  .object({
    id: keyId,
    name: z.string(),
    scopes: z.array(z.enum(SCOPES)),
    connection: connectionId.nullable().describe('The one connection this key may use, when bound'),
    allowed_addresses: z.array(z.string()).nullable().describe('From where it may be used, in CIDR; null: from anywhere its makers may'),
    allowed_origins: z
      .array(z.string())
      .nullable()
      .describe('Exact origins of the web pages that may use it; null: whoever has it, as far as its makers may'),
    sender: keySender.nullable().describe('Who alone may use it; null: whoever has it'),
    created_by: z.string(),
    succeeds: keyId.nullable().describe('The key that rotated itself into this one; revoking that one ends this one too'),
    created_at: timestamp,
    expires_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
    last_used_at: timestamp.nullable().describe('To the minute, and up to two minutes late. null: not since the gateway keeps this'),
  })
  .meta({ id: 'ApiKey' })

/** Of the organization itself: it lies in no project. */
export const organizationKey = apiKey.extend({ environment: environment.describe('Of every project') }).meta({ id: 'OrganizationKey' })

/** How calls of an integration go out beyond one plain try. */
export const callPolicy = z
  .object({
    retries: z
      .int()
      .min(0)
      .max(3)
      .describe('Further tries of calls that may be repeated: idempotent or with an Idempotency-Key, and without a body'),
    qps: z.number().positive().max(10_000).nullable().describe('Calls a second to the provider, of all connections together, on each node'),
    cache: z
      .boolean()
      .describe('Whether answers to GET are kept as their providers allow, asked about again, and stand in while a provider fails'),
    concurrency: z.int().min(1).max(1_000).nullable().describe('Calls to the provider at once, of all connections together, on each node'),
  })
  .meta({ id: 'CallPolicy' })

/** A provider with the client that was registered there. The secret of the client goes in and never out. */
export const integration = z
  .object({
    id: integrationId,
    slug: integrationSlug,
    provider: z.string().describe('Id of the provider in the catalog'),
    client_id: z.string(),
    scopes: z.array(z.string()).describe('Scopes asked of the provider, and required of its answer'),
    redirect_uri: z.url().describe('Register this with the provider'),
    call_policy: callPolicy,
    created_at: timestamp,
  })
  .meta({ id: 'Integration' })

/** How far a connect session has come. */
export const CONNECT_SESSION_STATUS = ['open', 'authorizing', 'awaiting_confirmation', 'completed', 'failed'] as const

/** One attempt at connecting an account. Its link is shown once. */
export const connectSession = z
  .object({
    id: connectSessionId,
    integration: integrationSlug,
    end_user_id: z.string(),
    status: z.enum(CONNECT_SESSION_STATUS),
    failure: z.string().nullable().describe('The problem code that ended it'),
    connection: connectionId.nullable(),
    created_at: timestamp,
    expires_at: timestamp,
  })
  .meta({ id: 'ConnectSession' })

/** How a connection stands. */
export const CONNECTION_STATUS = ['pending', 'active', 'insufficient_scope', 'reconnect_required', 'revoked'] as const

/**
 * Of the credential, beside the status of the connection: `refreshing` and `outcome_unknown` while a renewal is under way or was interrupted,
 * `degraded` while renewing fails and is tried again by itself.
 */
export const CONNECTION_HEALTH = ['active', 'refreshing', 'degraded', 'outcome_unknown', 'reconnect_required', 'revoked'] as const

/** Why a connection is not well, and whether a person is needed. */
export const connectionFailure = z
  .object({
    code: z.enum(PROBLEM_CODES).describe('The problem that a call meets when the token has died'),
    trouble: z.enum(TROUBLES),
    since: timestamp.describe('Of the first failure in a row'),
    at: timestamp.describe('Of the last one'),
    attempts: z.int().describe('Failures in a row'),
    retry_at: timestamp.nullable().describe('When it is tried again by itself; null when a person must act'),
  })
  .meta({ id: 'ConnectionFailure' })

/** One account, connected. Metadata alone: no token goes out. */
export const connection = z
  .object({
    id: connectionId,
    integration: integrationSlug,
    provider: z.string(),
    end_user_id: z.string(),
    status: z.enum(CONNECTION_STATUS),
    health: z.enum(CONNECTION_HEALTH),
    failure: connectionFailure.nullable().describe('Why the credential was last not renewed; null since it last was'),
    account: z.object({ id: z.string(), label: z.string().nullable() }).nullable().describe('The account at the provider'),
    granted_scopes: z.array(z.string()),
    missing_scopes: z.array(z.string()),
    generation: z.int(),
    token_expires_at: timestamp.nullable(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Connection' })

/** A token goes into a header: visible ASCII (RFC 6750 section 2.1 allows less). */
const token = z
  .string()
  .min(1)
  .max(16_384)
  .regex(/^[\u0021-\u007e]+$/u, 'must be visible ASCII')

/** A credential that the tenant already holds. It is sealed at once and never shown again, here or elsewhere. */
export const connectionImport = z.strictObject({
  integration: integrationSlug,
  end_user_id: endUserId,
  access_token: token,
  refresh_token: token.optional().describe('Absent: the access token can not be renewed'),
  expires_at: timestamp.optional().describe('Of the access token. Absent: it does not expire, or nobody knows'),
  scopes: z
    .array(
      z
        .string()
        .min(1)
        .max(256)
        .regex(/^[\u0021\u0023-\u005b\u005d-\u007e]+$/u, 'must be a scope token'),
    )
    .max(200)
    .optional()
    .describe('What was granted. Absent: what the integration asks for'),
  account: z
    .strictObject({
      id: z.string().min(1).max(255).regex(PLAIN, PLAIN_REASON),
      label: z.string().min(1).max(255).regex(PLAIN, PLAIN_REASON).optional(),
    })
    .optional()
    .describe(
      'The account at the provider, by the stable id that connecting it would find. A reconnect of another account is refused then',
    ),
})

/** What became of taking tokens back at the provider. */
export const PROVIDER_REVOCATION_STATE = ['done', 'queued', 'impossible', 'none'] as const

/** A connection that was ended. */
export const disconnection = z
  .object({
    connection,
    provider_revocation: z
      .object({
        state: z
          .enum(PROVIDER_REVOCATION_STATE)
          .describe(
            '`done` there; `queued`: tried again for 30 days; `impossible`, with the reason; `none`: there was no token to take back',
          ),
        reason: z.string().nullable(),
      })
      .describe('What the provider knows of it. Here the connection is over either way'),
  })
  .meta({ id: 'Disconnection' })

/** What was forgotten of one end user. */
export const endUserErasure = z
  .object({
    connections: z.int(),
    connect_sessions: z.int(),
    keys: z.int().describe('Keys that were bound to one of the connections, and went with it'),
    provider_revocations: z.int().describe('Grants that their providers are now told about'),
    usage_records: z.int().describe('Rows of model calls that their name was taken out of'),
    stored_contents: z.int().describe('Prompts and answers of model calls that were kept, and are forgotten'),
  })
  .meta({ id: 'EndUserErasure' })

/** A revocation of many connections, and how far it has come. */
export const bulkRevocation = z
  .object({
    id: bulkRevocationId,
    state: z.enum(['running', 'done']),
    found: z.int().describe('Connections that it was to end when it began'),
    ended: z.int().describe('Connections that it has ended so far; those that others ended meanwhile are not among them'),
    requested_by: z.string(),
    created_at: timestamp,
    finished_at: timestamp.nullable(),
  })
  .meta({ id: 'BulkRevocation' })

/** What a leak of something would reach. */
export const blastRadius = z
  .object({
    connections: z.int(),
    end_users: z.int(),
    bound_keys: z.int().describe('Keys that can do nothing more, because their one connection ends'),
    integrations: z.array(z.object({ id: integrationId, slug: integrationSlug, provider: z.string(), connections: z.int() })),
  })
  .meta({ id: 'BlastRadius' })

/** The forms in which providers tell of ended grants: `set` is RFC 8417. */
export const EVENT_SOURCE_KIND = ['set', 'github', 'slack'] as const

/** Where a provider's security events come from. */
export const eventSource = z
  .object({
    id: eventSourceId,
    kind: z.enum(EVENT_SOURCE_KIND),
    url: z.url().describe('Register this with the provider. It can not be guessed; who has it still needs to sign'),
    issuers: z.array(z.string()),
    audiences: z.array(z.string()),
    keys_uri: z.string().nullable(),
    stream_status: z.enum(['enabled', 'paused', 'disabled']).nullable().describe('What the transmitter last said of its stream'),
    verified_at: timestamp.nullable().describe('When the provider last verified the address'),
    received_at: timestamp.nullable().describe('When the last event came'),
    created_at: timestamp,
  })
  .meta({ id: 'EventSource' })

/** A request of the data plane, as it was written down: metadata alone. */
export const requestRecord = z
  .object({
    id: requestId,
    at: timestamp,
    integration: integrationSlug.nullable(),
    connection: connectionId.nullable(),
    model_provider: z.string().nullable().describe('Where a call to a model went; then there is no integration'),
    key: keyId,
    method: z.string(),
    path: z.string().describe('Without the query'),
    status: z.int(),
    source: z.enum(['gateway', 'provider']),
    error: z.string().nullable(),
    duration_ms: z.number(),
    bytes_in: z.int(),
    bytes_out: z.int(),
  })
  .meta({ id: 'RequestRecord' })

/** `previous` ones open what is sealed under them and seal nothing. */
export const DATA_KEY_STATUS = ['current', 'previous'] as const
/** `known`: something is wrapped under it, and it is not configured. */
export const ROOT_KEY_STATUS = ['primary', 'configured', 'known'] as const

/** An organization's data key, without the key. */
export const dataKey = z
  .object({
    id: dataKeyId,
    status: z.enum(DATA_KEY_STATUS).describe('`current` seals; `previous` only opens what is still under it'),
    records: z.int().describe('How many sealed records are under it now'),
    created_at: timestamp,
    retired_at: timestamp.nullable().describe('Since when it only opens'),
  })
  .meta({ id: 'DataKey' })

/** As it stands in the encryption keys, or `aws-kms.{key id}`, `transit.{name}`. */
export const rootKeyId = z
  .string()
  .regex(/^[0-9A-Za-z._-]{1,64}$/u, 'must be 1 to 64 letters, digits, ".", "_" or "-"')
  .describe('Root key id')

/** A root key, without the key, and what hangs on it. */
export const rootKey = z
  .object({
    id: rootKeyId,
    status: z.enum(ROOT_KEY_STATUS).describe('`primary` wraps; `configured` unwraps; `known` is remembered by the database alone'),
    data_keys: z.int().describe("How many of the organization's data keys are under it"),
    in_use: z.boolean().describe('Whether anything of the installation is under it'),
    known_since: timestamp,
  })
  .meta({ id: 'RootKey' })

/** What became of wrapping data keys anew. */
export const rewrapReport = z
  .object({
    to: rootKeyId.describe('The primary root key'),
    rewrapped: z.int().describe('Data keys that were under another one before'),
    unreadable: z.int().describe('Data keys that do not unwrap where they stand; they are left as they are'),
  })
  .meta({ id: 'RewrapReport' })

/** Whether what is sealed opens. */
export const keyVerification = z
  .object({
    data_keys: z.int(),
    records: z.int().describe('Records that were opened'),
    destroyed: z.int().describe('Records whose key was destroyed on purpose'),
    faults: z
      .array(z.object({ table: z.string(), record: z.string(), code: z.string() }))
      .describe('What should open and does not, at most 100; empty: all is well'),
    faults_total: z.int(),
  })
  .meta({ id: 'KeyVerification' })

/** What is left of a data key that was destroyed. */
export const shredReport = z
  .object({
    shredded: z.boolean().describe('False: nothing was done; this is what would be lost'),
    data_keys: z.array(dataKeyId),
    records: z.int().describe('Sealed records that nobody can open any more'),
  })
  .meta({ id: 'ShredReport' })

/** Emergency levers that are pulled. */
export const containment = z
  .object({
    data_key: z.object({
      to: dataKeyId.nullable().describe('The key that seals now; null: nothing was ever sealed'),
      renewed: z.boolean().describe('False: it was made after that moment already'),
      resealed: z.int(),
      unreadable: z.int(),
      left: z.int().describe('Records still under a previous key; repeat the call when it is not 0'),
    }),
    root_key: rewrapReport,
    bulk_revocation: bulkRevocation
      .nullable()
      .describe('Ends every connection and tells the providers; goes on by itself. Null: connections were kept'),
  })
  .meta({ id: 'Containment' })

/** One link of the chain: what happened, by whom, and the hash over it and the one before. */
export const auditEvent = z
  .object({
    seq: z.string().describe('Decimal; starts at 1, without gaps'),
    at: timestamp,
    action: z.string(),
    actor: z.string(),
    target: z.string(),
    detail: z.record(z.string(), z.unknown()),
    personal: z
      .object({
        sealed: z.string().describe('As it was hashed, base64url'),
        facts: z
          .record(z.string(), z.string())
          .nullable()
          .describe('As `email`, `name`, `address`, `user_agent`; null: whoever it was about was forgotten'),
      })
      .nullable()
      .describe('What it says of a person; null: nothing'),
    prev_hash: z.string().describe('Hex'),
    hash: z.string().describe('Hex; SHA-256 over domain, prev_hash and the canonical event; see docs/audit.md'),
  })
  .meta({ id: 'AuditEvent' })

/** Whether the personal part of events could be forgotten. */
export const auditForgotten = z
  .object({ about: z.string(), forgotten: z.boolean().describe('False: nothing was known of them, or not any more') })
  .meta({ id: 'AuditForgotten' })

/** What became of an audited act. */
export const AUDIT_OUTCOMES = ['done', 'refused', 'failed'] as const
/** What an export is written in. */
export const AUDIT_EXPORT_FORMATS = ['jsonl', 'csv'] as const

/** What can be wrong with an audit log; docs/audit.md says what each means. */
export const AUDIT_FAULTS = ['gap', 'link', 'content', 'head', 'checkpoint', 'signature', 'cut', 'outside', 'unfinished'] as const

/** The public half of the key that signs checkpoints. */
export const auditSigningKey = z
  .object({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string().describe('The public key, base64url (RFC 8037)'),
    kid: z.string(),
    use: z.literal('sig'),
    alg: z.literal('EdDSA'),
    created_at: timestamp,
    retired_at: timestamp.nullable().describe('Null: it signs'),
  })
  .meta({ id: 'AuditSigningKey' })

/** Whether the chain holds, and where it breaks. */
export const auditVerification = z
  .object({
    intact: z.boolean(),
    events: z.string(),
    head: z.string().nullable(),
    checkpoints: z.string().describe('Signed checkpoints that agree with the log'),
    vouched: z
      .object({ seq: z.string(), at: timestamp })
      .nullable()
      .describe('The last event that a checkpoint vouches for, and when it was signed; null: none yet'),
    first_fault: z.object({ seq: z.string(), reason: z.enum(AUDIT_FAULTS) }).nullable(),
  })
  .meta({ id: 'AuditVerification' })

/** A provider of the catalog. */
export const provider = z
  .object({ id: z.string(), name: z.string(), kind: z.enum(['oauth2']), default_scopes: z.array(z.string()), docs: z.url() })
  .meta({ id: 'Provider' })

/** A console session. */
export const session = z.object({ person: z.object({ id: z.string(), name: z.string() }), expires_at: timestamp }).meta({ id: 'Session' })

/** A provider of models, and how it is spoken to. */
export const modelProvider = z
  .object({
    id: z.string(),
    name: z.string(),
    docs: z.string(),
    dialect: z.enum(['openai', 'anthropic', 'gemini', 'cohere', 'bedrock']).describe('In whose words its API speaks'),
    credential: z.enum(['key', 'aws', 'google_service_account']).describe('What `secret` of a key is'),
    settings: z
      .array(z.object({ name: z.string(), description: z.string(), required: z.boolean() }))
      .describe('What else a key needs, or may have'),
  })
  .meta({ id: 'ModelProvider' })

/** A key of a model provider's, without the key: that goes in and never out. */
export const providerKey = z
  .object({
    id: providerKeyId,
    provider: z.string(),
    name: z.string(),
    project: projectId.nullable().describe('null: of the whole organization'),
    environment: environment.nullable(),
    masked: z.string().describe('The end of a key or of its id, or the address of a service account'),
    fingerprint: z
      .string()
      .describe('Equal where one organization keeps the same secret twice; says nothing to anybody else. 32 hexadecimal digits'),
    settings: z.record(z.string(), z.string()),
    state: z.enum(['active', 'ending', 'ended']).describe('`ending`: it was replaced, and is at hand until `ends_at`'),
    replaces: providerKeyId.nullable(),
    created_by: z.string(),
    created_at: timestamp,
    ends_at: timestamp.nullable(),
    revoked_at: timestamp.nullable(),
  })
  .meta({ id: 'ProviderKey' })

/** The name of a route of model calls. None of these characters is a `/`, by which a model of a provider is told from a route. */
export const modelRouteName = z
  .string()
  .regex(/^[A-Za-z0-9](?:[A-Za-z0-9._:-]{0,118}[A-Za-z0-9])?$/u, 'must be 1-120 letters, digits or inner `.`, `_`, `:`, `-`')
  .describe('What callers give as `model`; unique in its environment, and no id of a provider')

/** How many targets one route has, at most. */
export const MODEL_TARGETS_MOST = 16
/** Why a route asks its next target. Without a key for a target, the next is asked in any case. */
export const FALLBACK_CAUSES = ['rate_limited', 'server_error', 'timeout', 'circuit_open'] as const

/** One of a route's models. */
export const modelTarget = z.object({
  provider: z.string().min(1).max(31).describe('As `GET /api/v1/model-providers` lists them'),
  model: z
    .string()
    .max(200)
    .regex(/^[!-~]+$/u, 'must be visible ASCII characters')
    .describe('As the provider names it'),
  key_name: name.describe('Which key of the provider: the one of this name here, or else of the organization'),
  weight: z.int().min(1).max(1_000).describe('Of `weighted` routes: its share of the calls that it is asked first for'),
  first_byte_timeout_ms: z
    .int()
    .min(100)
    .max(600_000)
    .nullable()
    .describe('How long its answer may take to begin; null: as long as the route has'),
})

/** A name for one model or several. */
export const modelRoute = z
  .object({
    id: modelRouteId,
    name: modelRouteName,
    strategy: z
      .enum(['ordered', 'weighted'])
      .describe('`ordered`: from the first on. `weighted`: drawn by weight, the rest likewise after it'),
    targets: z.array(modelTarget),
    fallback_on: z
      .array(z.enum(FALLBACK_CAUSES))
      .describe(
        '`rate_limited`: 429. `server_error`: 5xx, or no answer. `timeout`: none in time. `circuit_open`: it failed just now, and is not asked',
      ),
    deadline_ms: z.int().min(1_000).max(600_000).describe('How long it may take, over all targets, until an answer begins'),
    created_by: z.string(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'ModelRoute' })

/** US dollars as text, exact to a billionth: `"12.5"`. */
export const usd = z
  .string()
  .regex(/^\d{1,7}(?:\.\d{1,9})?$/u, 'must be US dollars as text, with at most nine places, as "12.50"')
  .meta({ id: 'UsDollars' })
/** A day of UTC, `YYYY-MM-DD`. */
export const day = z.iso.date().describe('A day of UTC')
const count = z.int().min(0)
const cost = usd.describe('US dollars')

/** What one model call used. */
export const usageRecord = z
  .object({
    id: usageId,
    at: timestamp,
    request: requestId.describe('Several tries of one call share it'),
    key: keyId,
    end_user: endUserId.nullable(),
    provider: z.string(),
    model: z.string().nullable().describe('As the provider said it; null: not known'),
    route: z.string().nullable().describe('The named route that chose the provider'),
    status: z.int().describe('What the provider answered; 0: nothing'),
    error: z.string().nullable().describe('Why there is no whole answer'),
    source: z
      .enum(['measured', 'estimated'])
      .nullable()
      .describe('`measured`: the tokens are as the provider said; `estimated`: reckoned from lengths; null: not known'),
    input_tokens: count.nullable().describe('With those from caches and to them'),
    cached_tokens: count.nullable().describe('Of the input: read from a cache'),
    cache_write_tokens: count.nullable().describe('Of the input: written to a cache'),
    output_tokens: count.nullable().describe('With reasoning'),
    reasoning_tokens: count.nullable().describe('Of the output'),
    cost_usd: cost.nullable().describe('null: a part of it has no known price'),
    duration_ms: z.number(),
    first_byte_ms: z.number().nullable().describe("To the first byte of the answer's body"),
  })
  .meta({ id: 'UsageRecord' })

/** What use is added up by. */
export const USAGE_GROUPS = ['day', 'project', 'environment', 'key', 'end_user', 'provider', 'model'] as const
/** Before the year 1 there is no day for the database, and thirty days before some there are such. */
const askedDay = day.refine((text) => text >= '1970-01-01', 'must be a day since 1970')
/** Which use is asked for, and by what it is added up. */
export const usageQuery = z.strictObject({
  from: askedDay.optional().describe('The first day; absent: 30 days before the last'),
  to: askedDay.optional().describe('The last day, which is counted; absent: today'),
  group_by: z
    .string()
    .max(120)
    .regex(/^[a-z_]+(?:,[a-z_]+)*$/u, 'must be names with commas between them')
    .optional()
    .describe(
      'Some of day, project, environment, key, end_user, provider and model, with commas between them; end users and keys not together. Absent: one sum',
    ),
  key: keyId.optional(),
  end_user: endUserId.optional(),
  provider: z.string().min(1).max(31).optional(),
  model: z.string().min(1).max(160).optional(),
})

/** What calls used together. The members that it was added up by come first. */
export const usageSum = z
  .object({
    day: day.optional(),
    project: projectId.optional(),
    environment: environment.optional(),
    key: keyId.optional(),
    end_user: endUserId.optional(),
    provider: z.string().optional(),
    model: z.string().nullable().optional(),
    calls: count,
    failed_calls: count.describe('Without an answer of 2xx or 3xx'),
    estimated_calls: count.describe('Whose tokens were reckoned'),
    unpriced_calls: count.describe('That have tokens but no known cost: they are not in `cost_usd`'),
    input_tokens: count,
    cached_tokens: count,
    cache_write_tokens: count,
    output_tokens: count,
    reasoning_tokens: count,
    cost_usd: z.string().describe('US dollars'),
  })
  .meta({ id: 'UsageSum' })

/** Sums of use. */
export const usageReport = z
  .object({
    from: day,
    to: day,
    group_by: z.array(z.enum(USAGE_GROUPS)),
    data: z.array(usageSum).describe('The dearest first; by day, the latest first'),
    cut: z.boolean().describe('There are more than 1,000: ask for fewer days, or one of a kind'),
  })
  .meta({ id: 'UsageReport' })

/** How much model calls may cost, and how that stands. */
export const budget = z
  .object({
    id: budgetId,
    holder: z.enum(['organization', 'project', 'key']),
    project: projectId.nullable(),
    key: keyId.nullable(),
    amount_usd: usd,
    period: z.enum(['day', 'month', 'total']).describe('Days and months of UTC; `total`: it never begins anew'),
    enforcement: z
      .enum(['hard', 'warn'])
      .describe('`hard`: calls that may go beyond it are refused; `warn`: it is put on record that it is used up'),
    unpriced: z.enum(['refuse', 'pass']).describe('What a hard one does with a call whose cost can not be told'),
    period_starts_on: day,
    spent_usd: z.string().describe('In the period under way'),
    held_usd: z.string().describe('Set aside by nodes for calls under way, and for those that they may begin without asking'),
    created_by: z.string(),
    created_at: timestamp,
    changed_at: timestamp,
  })
  .meta({ id: 'Budget' })
