/**
 * Owns how many failed attempts an address may make before it is refused unread. Refuses to count successes, and to count by anything
 * that a stranger could spend for someone else: there is no budget per key id, because whoever knows an id could then lock its owner
 * out. What a known id may cost is bounded by the key reader instead (one read per id and five seconds).
 */
import { isIPv6 } from 'node:net'
import type { Clock } from '@sallyport/core'
import { RecentMap } from './recent-map.ts'

export interface FailureBudgetOptions {
  readonly clock: Clock
  /** Failures that may come at once. */
  readonly burst: number
  /** Failures a second that are forgiven. */
  readonly perSecond: number
  /** Addresses remembered; over it the one that failed longest ago is forgotten. */
  readonly maxAddresses: number
}

interface Bucket {
  readonly failures: number
  readonly at: number
}

export class FailureBudget {
  readonly #options: FailureBudgetOptions
  readonly #buckets: RecentMap<string, Bucket>

  constructor(options: FailureBudgetOptions) {
    this.#options = options
    this.#buckets = new RecentMap(options.maxAddresses)
  }

  /** Seconds until this address may try again (1 or more), or 0 when it may now. */
  retryAfterS(address: string): number {
    const over = this.#failures(addressGroup(address)) + 1 - this.#options.burst
    return over <= 0 ? 0 : Math.ceil(over / this.#options.perSecond)
  }

  /** Counts one failure, up to the burst. */
  fail(address: string): void {
    const group = addressGroup(address)
    const failures = Math.min(this.#failures(group) + 1, this.#options.burst)
    this.#buckets.put(group, { failures, at: this.#options.clock.monotonic() })
  }

  /** Addresses remembered now. */
  get size(): number {
    return this.#buckets.size
  }

  #failures(group: string): number {
    const bucket = this.#buckets.get(group)
    if (bucket === undefined) return 0
    const forgiven = ((this.#options.clock.monotonic() - bucket.at) / 1000) * this.#options.perSecond
    return Math.max(0, bucket.failures - forgiven)
  }
}

/**
 * What one subscriber usually holds: an IPv4 address, also when written inside IPv6, or the first 64 bits of an IPv6 one (RFC 6177).
 * Anything else is its own group.
 */
export function addressGroup(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const plain = address.split('%', 1)[0] ?? address
  if (!isIPv6(plain)) return address
  const canonical = URL.parse(`http://[${plain}]`)?.hostname.slice(1, -1) ?? plain
  const [head = '', tail] = canonical.split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0')
  return `${[...before, ...zeros, ...after].slice(0, 4).join(':')}::/64`
}
