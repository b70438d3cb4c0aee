/** Owns the life of credentials: connected, renewed, told of by providers, ended. Refuses to end with an answer that is nowhere but here. */
import { access, constants, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createKeySets, FileSpill } from '@sallyport/core'
import type { Logger, Refresher, Spill } from '@sallyport/core'
import { redisAddress } from '../config.ts'
import type { Config } from '../config.ts'
import { callbackAddress, createConnectService } from '../connect/index.ts'
import type { ConnectService } from '../connect/index.ts'
import {
  createAccelerator,
  createExplain,
  createLineage,
  createRenewal,
  createRowLeases,
  createTenantStore,
  createTransitions,
} from '../credentials/index.ts'
import type { Accelerator, Explain, Lineage } from '../credentials/index.ts'
import { createEventService } from '../events/index.ts'
import type { EventService } from '../events/index.ts'
import { problemFor, sessionCookieName } from '../http/index.ts'
import type { Sessions } from '../identity/index.ts'
import { createRevocationService } from '../revocation/index.ts'
import type { RevocationService } from '../revocation/index.ts'
import { roomOf } from './parts.ts'
import type { Ground } from './parts.ts'

export interface Credentials {
  readonly lineage: Lineage
  readonly connect: ConnectService
  readonly revocation: RevocationService
  readonly refresher: Refresher
  readonly events: EventService
  readonly explain: Explain
  /** Undefined without Redis. */
  readonly accelerator: Accelerator | undefined
  /** What renews ends, once every answer is saved or `saveTimeoutMs` is over. Revocation ends by itself, after it. */
  readonly endRenewal: readonly (() => Promise<void>)[]
}

export async function createCredentials(ground: Ground, sessions: Sessions): Promise<Credentials> {
  const { config, database, vault, egress, useLog, dpopNonces, clock, logger, metrics, node } = ground
  const fetch: typeof egress.fetch = (input, init) => egress.fetch(input, init)
  const providers = (id: string) => ground.providers.get(id)
  const lineage = createLineage({ vault, fingerprintKey: await vault.systemSecret('refresh_fingerprint') })
  const connect = createConnectService({
    database,
    vault,
    lineage,
    fetch,
    dpopNonces,
    providers,
    publicUrl: config.publicUrl,
    sessions,
    sessionCookie: sessionCookieName(config.publicUrl.startsWith('https:')),
    problemFor,
    clock,
    logger,
    room: roomOf(config),
  })
  const revocation = createRevocationService({ database, vault, lineage, fetch, providers, clock, logger, metrics })
  const store = createTenantStore({
    database,
    vault,
    lineage,
    transitions: createTransitions({ useLog, logger }),
    logger,
    orphaned: (tx, id, tokens) => revocation.queue.orphanIn(tx, id, tokens),
  })
  const leases = config.databaseLeases === 'session' ? database.sessionLeases() : createRowLeases(database)
  const redis = redisAddress(config)
  const accelerator = redis === undefined ? undefined : createAccelerator({ at: redis, node, logger })
  const refresher = createRenewal({
    store,
    leases,
    ...(accelerator === undefined ? {} : { hint: accelerator.hint }),
    spills: [await openSpill(config, logger), ...(accelerator === undefined ? [] : [accelerator.spill])],
    database,
    vault,
    providers,
    fetch,
    dpopNonces,
    redirectUri: (context) => callbackAddress(config.publicUrl, context),
    revokeOrphan: (ref, tokens) => revocation.queue.orphan(ref, tokens),
    clock,
    logger,
    metrics,
    node,
    limits: { bufferMs: config.refresh.bufferMs },
  })
  const events = createEventService({
    database,
    vault,
    keySets: createKeySets({ egress, clock }),
    renew: (ref) =>
      // What becomes of it is on record in the connection's own state.
      void refresher.refreshNow(ref).catch((error: unknown) => logger.debug('A credential was not renewed for an event', { error })),
    onEnded: () => revocation.queue.poke(),
    providers,
    loopbackOrigins: config.mode === 'development',
    clock,
    logger,
  })
  return {
    lineage,
    connect,
    revocation,
    refresher,
    events,
    explain: createExplain({ connect, database, clock, logger }),
    accelerator,
    endRenewal: [
      () => saveAnswers(refresher, config.saveTimeoutMs, logger),
      async () => refresher.close(),
      () => leases.close(),
      async () => accelerator?.close(),
      () => store.close(),
    ],
  }
}

/** Beside the embedded database, or where the gateway was told to keep what is its own: on this machine, whatever database it runs on. */
async function openSpill({ dataDir }: Config, logger: Logger): Promise<Spill> {
  const folder = join(dataDir, 'spill')
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await access(folder, constants.W_OK)
  } catch (error) {
    logger.warn('Nothing can be kept in the data folder: a renewed credential is lost if this process dies while the database is away', {
      folder,
      error,
    })
  }
  return new FileSpill(folder, {
    onUnreadable: (name) => logger.error('An answer that waits to be saved can not be read; its file is left where it is', { name }),
  })
}

/** Refuses to go on to the end while a refresh is under way or an answer is not saved, for as long as was configured. */
async function saveAnswers(refresher: Refresher, timeoutMs: number, logger: Logger): Promise<void> {
  const left = await refresher.drain(timeoutMs)
  if (left.underWay + left.unsaved > 0) logger.error('Ending with refreshes that are not saved; the spill has what came back', { ...left })
}
