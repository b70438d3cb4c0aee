/** Owns the data plane with its memories: where calls go, under which route, and how much of an origin one organization gets. */
import { DEFAULT_REFRESH_LIMITS, formatId } from '@sallyport/core'
import type { CircuitChange, DeprecationNotice, IntegrationId, Logger, OrgId } from '@sallyport/core'
import type { Change, Database } from '../db/index.ts'
import { connectionFind } from '../db/index.ts'
import {
  createAnswers,
  createCallShares,
  createCredentialLife,
  createDataPlane,
  createOutbound,
  createProviderGuard,
  createTargetCache,
  routeOut,
} from '../proxy/index.ts'
import type { Answers, DataPlane, TargetCache, TargetWanted, VisitOptions } from '../proxy/index.ts'
import type { Credentials } from './credentials.ts'
import type { Ground } from './parts.ts'

/** Worst age of what the data plane remembers of connections when no word of a change arrives (G10). */
const TARGET_AGE_MS = 10_000
/** And while the database is away or says nothing for `TARGET_PATIENCE_MS`. */
const TARGET_AGE_AWAY_MS = 30_000
const TARGET_PATIENCE_MS = 250
const MAX_TARGETS = 50_000

export interface OpenDataPlane {
  readonly dataPlane: DataPlane
  stopListening(): void
}

export function openDataPlane(ground: Ground, visits: VisitOptions, { refresher, explain }: Credentials): OpenDataPlane {
  const { config, database, vault, egress, useLog, dpopNonces, providers, clock, logger, metrics } = ground
  const targets = createTargetCache({
    read: (wanted) => readTarget(database, wanted),
    clock,
    maxAgeMs: TARGET_AGE_MS,
    maxAgeAwayMs: TARGET_AGE_AWAY_MS,
    patienceMs: TARGET_PATIENCE_MS,
    maxEntries: MAX_TARGETS,
  })
  const routes = new Map([...providers].map(([id, provider]) => [id, routeOut(provider, config.egress, { nonces: dpopNonces, clock })]))
  const answers = createAnswers({ clock, metrics })
  const dataPlane = createDataPlane({
    ...visits,
    targets,
    routes: (id) => routes.get(id),
    otherEnvironment: (wanted) => isInOtherEnvironment(database, wanted),
    vault,
    egress,
    life: createCredentialLife({
      fresh: (ref, options) => refresher.fresh(ref, options),
      clock,
      bufferMs: config.refresh.bufferMs,
      jitter: DEFAULT_REFRESH_LIMITS.jitter,
      // What it means for the connection is on record already; the call it stood beside has gone on.
      onFailure: (error) => logger.debug('A credential was not renewed beside a call', { error }),
    }),
    explained: async (error, principal, connection) => {
      const { org, project, environment } = principal
      // A connection was found, so that there is one.
      return project === null ? error : explain(error, principal, { org, project, environment }, connection)
    },
    shares: createCallShares(config.egress.maxConnectionsPerOrigin),
    guard: createProviderGuard({
      ...config.breaker,
      onChange: (change) => tellCircuit(change, logger),
      onDeprecation: (notice) => tellDeprecation(notice, logger),
      clock,
      metrics,
    }),
    outbound: createOutbound({ clock, metrics }),
    answers,
    useLog,
    publicUrl: config.publicUrl,
    maxRequestBytes: config.limits.maxRequestBytes,
  })
  return { dataPlane, stopListening: database.onChange(forgetting(targets, answers)) }
}

function forgetting(targets: TargetCache, answers: Answers): (change: Change | 'unknown') => void {
  return (change) => {
    targets.drop(change)
    answers.drop(change)
  }
}

/** For the operator: what calls are made of goes by the day that is said. The address for more is the provider's word, and stays out of the log. */
function tellDeprecation({ provider, host, deprecatedAt, sunsetAt }: DeprecationNotice, logger: Logger): void {
  const said = { deprecatedAt: dayOf(deprecatedAt), sunsetAt: dayOf(sunsetAt) }
  logger.warn('A provider announces the end of what is asked of it', { event: 'deprecation.announced', provider, host, ...said })
}

function dayOf(at: number | null): string | null {
  return at === null || Number.isNaN(new Date(at).getTime()) ? null : new Date(at).toISOString().slice(0, 10)
}

/** By ids alone; whose provider it is, its organization sees. */
function tellCircuit({ owner, integration, provider, host, to }: CircuitChange, logger: Logger): void {
  const of = { org: formatId('org', owner as OrgId), integration: formatId('int', integration as IntegrationId), provider, host }
  if (to === 'open') logger.warn('A provider keeps failing and is left alone for a while', { event: 'breaker.opened', ...of })
  else if (to === 'closed') logger.info('A provider answers again', { event: 'breaker.closed', ...of })
}

function readTarget(
  database: Database,
  { org, project, environment, integration, selector }: TargetWanted,
): ReturnType<Database['proxyTarget']> {
  return database.proxyTarget({
    org,
    project,
    environment,
    slug: integration,
    connection: selector.connection,
    endUserId: selector.endUser,
  })
}

async function isInOtherEnvironment(database: Database, wanted: TargetWanted): Promise<boolean> {
  const { connection } = wanted.selector
  if (connection === undefined) return false
  const other = { project: wanted.project, environment: wanted.environment === 'live' ? 'test' : 'live' } as const
  return (await database.withTenant(wanted.org, (tx) => connectionFind(tx, other, connection))) !== undefined
}
