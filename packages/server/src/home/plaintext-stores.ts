/**
 * Owns the stores that are spoken to without verified TLS because the operator means it (`insecureAllowPlaintextStores`). Refuses one whose name leads
 * to a public address: what is meant is one host, or one network that nobody else is in.
 */
import { lookup } from 'node:dns/promises'
import { isPrivateAddress } from '@sallyport/core'
import type { Logger } from '@sallyport/core'
import { plaintextHost, STORES } from '../config.ts'
import type { Config } from '../config.ts'
import { HomeError } from './home-error.ts'

export interface PlaintextStore {
  /** Of its address; the address itself holds a password. */
  readonly setting: (typeof STORES)[number]
  /** Where its name leads now. */
  readonly leadsTo: 'private' | 'public' | 'nowhere'
}

/** Gives all addresses of a name; rejects when there are none. */
export type FindAddresses = (host: string) => Promise<readonly string[]>

const systemAddresses: FindAddresses = async (host) => (await lookup(host, { all: true })).map(({ address }) => address)

export async function plaintextStores(
  config: Pick<Config, (typeof STORES)[number]>,
  find = systemAddresses,
): Promise<readonly PlaintextStore[]> {
  const found: PlaintextStore[] = []
  for (const setting of STORES) {
    const host = config[setting] === undefined ? undefined : plaintextHost(config[setting])
    if (host !== undefined) found.push({ setting, leadsTo: await whereTo(host, find) })
  }
  return found
}

/** Asked before anything is connected to. @throws HomeError `store_public` */
export async function requirePrivateStores(config: Config, logger: Logger, find = systemAddresses): Promise<void> {
  const stores = await plaintextStores(config, find)
  const open = stores.find(({ leadsTo }) => leadsTo === 'public')
  if (open !== undefined) {
    throw new HomeError(
      'store_public',
      `${open.setting} is to be spoken to without verified TLS and leads to a public address. Use TLS (docs/stores.md), or an address of your own network.`,
    )
  }
  if (config.mode !== 'production') return
  for (const { setting } of stores) {
    logger.warn('A store is spoken to without verified TLS: whoever is on the way reads along and may answer in its place', { setting })
  }
}

/** One public address among several is enough: any of them may be connected to. */
async function whereTo(host: string, find: FindAddresses): Promise<PlaintextStore['leadsTo']> {
  const addresses = await find(host).catch(() => [])
  if (addresses.length === 0) return 'nowhere'
  return addresses.every(isPrivateAddress) ? 'private' : 'public'
}
