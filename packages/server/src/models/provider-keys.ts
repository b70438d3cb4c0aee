/**
 * Owns the keys of model providers: kept sealed, replaced with an overlap and ended. Refuses a secret that is none of its provider's kind before it is
 * sealed, and to show one again: what people tell keys by is made once, from what is no secret or says nothing.
 */
import {
  credentialFault,
  formatId,
  frame,
  hasCode,
  hmacSha256,
  maskedCredential,
  newId,
  settingFaults,
  settingsWithin,
} from '@sallyport/core'
import type { KeyObject, ModelProvider, OrgId, ProviderKeyId, Secret } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import { providerKeyHold, providerKeyInsert, providerKeyOutlive, providerKeyRevoke } from '../db/index.ts'
import type { Place, ProviderKey, TenantTx } from '../db/index.ts'
import { notFound, ProblemError } from '../http/index.ts'
import { providerKeyPlace } from '../vault/index.ts'
import type { Vault } from '../vault/index.ts'

export interface ProviderKeysOptions {
  readonly vault: Pick<Vault, 'seal'>
  readonly providers: readonly ModelProvider[]
  /** `vault.systemSecret('provider_key_fingerprint')`. */
  readonly fingerprintKey: KeyObject
}

export interface WantedKey {
  readonly provider: string
  readonly name: string
  readonly secret: Secret
  readonly settings: Readonly<Record<string, string>>
}

export interface Successor {
  readonly secret: Secret
  /** Absent: as of the key that it replaces. */
  readonly settings: Readonly<Record<string, string>> | undefined
  readonly overlapS: number
}

/** Each within the caller's transaction, with its audit event. `place`: null for the whole organization. */
export interface ProviderKeys {
  readonly providers: readonly ModelProvider[]
  /** @throws ProblemError `validation_failed`; `conflict` when one of that provider and name stands there. */
  create(tx: TenantTx, place: Place | null, wanted: WantedKey, actor: string): Promise<ProviderKey>
  /** Both rows, or neither. @throws ProblemError `not_found`, `validation_failed`; `conflict` for one that has ended or was replaced before. */
  rotate(
    tx: TenantTx,
    place: Place | null,
    id: ProviderKeyId,
    next: Successor,
    actor: string,
  ): Promise<{ key: ProviderKey; replaced: ProviderKey }>
  /** Repeating it changes nothing. @throws ProblemError `not_found` */
  revoke(tx: TenantTx, place: Place | null, id: ProviderKeyId, actor: string): Promise<ProviderKey>
}

/** Of 32: enough that no two secrets of one organization share it by chance. */
const FINGERPRINT_BYTES = 16

export function createProviderKeys(options: ProviderKeysOptions): ProviderKeys {
  const keep = async (
    tx: TenantTx,
    place: Place | null,
    { provider: name, ...wanted }: WantedKey & { readonly replaces: ProviderKeyId | null },
    actor: string,
  ): Promise<ProviderKey> => {
    const provider = knownProvider(options.providers, name)
    requireFitting(provider, wanted)
    const { secret, ...rest } = wanted
    const id = newId('pkey')
    return providerKeyInsert(tx, {
      ...rest,
      settings: { ...settingsWithin(provider, secret), ...wanted.settings },
      id,
      place,
      provider: provider.id,
      sealed: await options.vault.seal(tx, providerKeyPlace(id), secret),
      mask: maskedCredential(provider.credential, secret),
      fingerprint: fingerprintOf(options.fingerprintKey, tx.org, secret),
      createdBy: actor,
    })
  }
  return {
    providers: options.providers,
    async create(tx, place, wanted, actor) {
      const key = await refusingTakenName(keep(tx, place, { ...wanted, replaces: null }, actor))
      await appendAudit(tx, { action: 'provider_key.created', actor, target: formatId('pkey', key.id), detail: detailOf(key) })
      return key
    },
    async rotate(tx, place, id, { secret, settings, overlapS }, actor) {
      const before = await providerKeyHold(tx, place, id)
      if (before === undefined) throw notFound()
      const replaced = await providerKeyOutlive(tx, id, overlapS)
      if (replaced === undefined) throw new ProblemError('conflict', 'This key has ended, or was replaced before.')
      const { provider, name } = before
      const key = await keep(tx, place, { provider, name, secret, settings: settings ?? before.settings, replaces: id }, actor)
      const detail = { ...detailOf(key), to: formatId('pkey', key.id), overlap_s: overlapS }
      await appendAudit(tx, { action: 'provider_key.rotated', actor, target: formatId('pkey', id), detail })
      return { key, replaced }
    },
    async revoke(tx, place, id, actor) {
      const before = await providerKeyHold(tx, place, id)
      if (before === undefined) throw notFound()
      const revoked = await providerKeyRevoke(tx, id)
      if (revoked === undefined) return before
      await appendAudit(tx, { action: 'provider_key.revoked', actor, target: formatId('pkey', id), detail: detailOf(revoked) })
      return revoked
    },
  }
}

/** Never what the secret is told by: the log outlives it. */
function detailOf({ provider, name, place, settings }: ProviderKey): Record<string, string | Record<string, string>> {
  return {
    provider,
    name,
    settings: { ...settings },
    ...(place && { project: formatId('proj', place.project), environment: place.environment }),
  }
}

function knownProvider(providers: readonly ModelProvider[], id: string): ModelProvider {
  const provider = providers.find((one) => one.id === id)
  if (provider !== undefined) return provider
  const faults = [{ pointer: '/body/provider', reason: 'is no model provider of the catalog' }]
  throw new ProblemError('validation_failed', 'There is no such provider; GET /api/v1/model-providers lists them.', { faults })
}

function requireFitting(provider: ModelProvider, { secret, settings }: Pick<WantedKey, 'secret' | 'settings'>): void {
  const reason = credentialFault(provider.credential, secret)
  const faults = [
    ...(reason === undefined ? [] : [{ pointer: '/body/secret', reason }]),
    ...settingFaults(provider, settings).map((fault) => ({ pointer: `/body/settings/${fault.name}`, reason: fault.reason })),
  ]
  if (faults.length > 0) throw new ProblemError('validation_failed', `This is no key of ${provider.name}.`, { faults })
}

function fingerprintOf(key: KeyObject, org: OrgId, secret: Secret): Buffer {
  return hmacSha256(key, frame([org]), secret).subarray(0, FINGERPRINT_BYTES)
}

async function refusingTakenName<T>(insert: Promise<T>): Promise<T> {
  try {
    return await insert
  } catch (error) {
    if (!hasCode(error, 'conflict')) throw error
    throw new ProblemError('conflict', 'A key of that provider and name stands here already: rotate it, or take another name.', {
      cause: error,
    })
  }
}
