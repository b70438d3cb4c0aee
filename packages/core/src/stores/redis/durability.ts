/** Owns what can be promised of a Redis server, read from its own settings. Refuses to promise what it may not ask. */
import type { StoreDurability } from '../../tokens/index.ts'
import type { RedisLink } from './connection.ts'

export const UNREACHED: StoreDurability = {
  kind: 'none',
  limits: ['The server was not reached yet, so nothing is known of its settings.'],
}

const FAILOVER =
  'Replication is asynchronous: what a replica had not received when the primary was lost is lost, a refresh token among it. Sentinel and managed failover are no exception.'
const EVICTED = 'maxmemory-policy evicts any key when memory runs out: refresh tokens are lost. Set it to noeviction.'
const LEASES_EVICTED = 'maxmemory-policy evicts keys that expire when memory runs out: leases may end early. Tokens are kept.'
const NOT_TOLD = 'The server does not tell how it writes to disk (CONFIG is not allowed), so nothing is promised of a crash.'
const EACH_SECOND = 'appendfsync is everysec: a crash of the server loses up to two seconds, a refresh token among it.'
const SNAPSHOTS = 'Only snapshots are written: a crash of the server loses everything since the last one.'
const NOTHING = 'Nothing is written to disk: when the server ends, every user has to connect again.'
const SYSTEM = 'appendfsync is no: what a crash loses is up to the operating system.'

export async function readDurability(link: RedisLink): Promise<StoreDurability> {
  const info = settings(String(await link.ask<Buffer>('INFO', 'all')))
  const fsync = await appendFsync(link)
  const evicts = Number(info.get('maxmemory') ?? 0) > 0 ? (info.get('maxmemory_policy') ?? 'noeviction') : 'noeviction'
  const written = disk(info.get('aof_enabled') === '1', fsync, await snapshots(link))
  const evicted = evicts.startsWith('allkeys') ? [EVICTED] : evicts.startsWith('volatile') ? [LEASES_EVICTED] : []
  const kind = evicts.startsWith('allkeys') ? 'none' : written.kind
  return { kind, limits: [...written.limits, ...evicted, FAILOVER] }
}

function disk(appends: boolean, fsync: string | undefined, snapshots: string | undefined): StoreDurability {
  if (appends && fsync === 'always') return { kind: 'durable', limits: [] }
  if (appends && fsync === 'everysec') return { kind: 'configured', limits: [EACH_SECOND] }
  if (appends && fsync === 'no') return { kind: 'configured', limits: [SYSTEM] }
  if (appends) return { kind: 'configured', limits: [NOT_TOLD] }
  if (snapshots === undefined) return { kind: 'none', limits: [NOT_TOLD] }
  return { kind: 'none', limits: [snapshots === '' ? NOTHING : SNAPSHOTS] }
}

function appendFsync(link: RedisLink): Promise<string | undefined> {
  return setting(link, 'appendfsync')
}

function snapshots(link: RedisLink): Promise<string | undefined> {
  return setting(link, 'save')
}

/** Undefined where the server does not tell. */
async function setting(link: RedisLink, name: string): Promise<string | undefined> {
  try {
    const found = await link.ask<Buffer[]>('CONFIG', 'GET', name)
    return found[1] === undefined ? undefined : String(found[1])
  } catch {
    // Managed servers forbid the question.
    return undefined
  }
}

function settings(info: string): ReadonlyMap<string, string> {
  const lines = info.split('\r\n').map((line) => line.split(':'))
  return new Map(lines.flatMap(([name, value]) => (name === undefined || value === undefined ? [] : [[name, value] as const])))
}
