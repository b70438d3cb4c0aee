/** Owns the one read of a model call: what the organization has settled, and the sealed key nearest to the caller, in one round trip. Refuses to open anything. */
import type { Pool } from 'pg'
import type { Environment, OrgId, ProjectId, ProviderKeyId } from '@sallyport/core'
import { translated } from '../errors.ts'

export interface ModelKeyAsk {
  readonly org: OrgId
  readonly project: ProjectId
  readonly environment: Environment
  readonly provider: string
  readonly name: string
}

export interface KeptModelKey {
  readonly id: ProviderKeyId
  readonly settings: Readonly<Record<string, string>>
  readonly sealed: Buffer
  /** Seconds until its overlap with a successor is over, counted from the reading; null where nothing ends it. */
  readonly endsInS: number | null
}

export interface ModelKeys {
  /** As stored; null where nothing was chosen. */
  readonly mode: unknown
  /** Undefined: no key of that provider and name is kept for the caller. */
  readonly kept: KeptModelKey | undefined
}

interface Row {
  mode: unknown
  id: ProviderKeyId | null
  settings: Record<string, string> | null
  sealed: Buffer | null
  ends_in_s: number | null
}

/** See 0041_model_calls.sql. */
export async function readModelKeys(pool: Pool, { org, project, environment, provider, name }: ModelKeyAsk): Promise<ModelKeys> {
  const values = [org, project, environment, provider, name]
  const { rows } = await translated(() => pool.query<Row>('select * from sallyport.model_key($1, $2, $3, $4, $5)', values))
  const { mode, id, settings, sealed, ends_in_s: endsInS } = rows[0]!
  return { mode, kept: id === null || sealed === null ? undefined : { id, settings: settings ?? {}, sealed, endsInS } }
}
