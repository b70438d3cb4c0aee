/**
 * Owns the question whether a key that was proven may be used from here, by this caller; on every call, of both planes. Refuses in this order:
 * the address, the page, then the proof or the certificate, so that a stranger's address costs no signature.
 */
import type { IncomingMessage } from 'node:http'
import { addressBytes, digestEquals, isInRanges, judgeDpopProof, sha256 } from '@sallyport/core'
import type { Clock, DigestInput, Logger } from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { Lookups } from '../db/index.ts'
import { rawValues } from '../http/index.ts'
import type { KeyBounds, KeyPrincipal } from '../identity/index.ts'
import { BindingError, refusedProof } from './binding-error.ts'
import { certificateThumbprint, connectionThumbprint } from './client-certificate.ts'
import type { CertificateHeader } from './client-certificate.ts'
import type { Nonces } from './nonces.ts'
import { PROOF_LIFE_S, ProofMemory } from './proof-memory.ts'
import type { Taken } from './proof-memory.ts'
import { Refusals } from './refusals.ts'

export interface KeyGuardOptions {
  /** What callers write before the path. Without trailing slash. */
  readonly publicUrl: string
  /** The header in which trusted proxies name the client's certificate; undefined when none does. */
  readonly certificateHeader: CertificateHeader | undefined
  /** True for the address of a peer whose headers are believed. */
  readonly isTrustedPeer: (address: string) => boolean
  readonly nonces: Nonces
  /** Whether proofs must carry a nonce of ours. */
  readonly requireNonce: boolean
  /** Where all nodes remember the proofs that they took. When it is away no proof is taken. */
  readonly proofs: Pick<Lookups, 'proofTake' | 'proofSweep'>
  readonly useLog: Pick<UseLog, 'use'>
  readonly clock: Clock
  readonly logger: Logger
}

/** A key as a caller presented it. */
export interface Presented {
  readonly request: Pick<IncomingMessage, 'method' | 'url' | 'rawHeaders' | 'socket'>
  /** The client's, as trusted proxies give it. */
  readonly address: string
  /** The key's text: proofs name its hash. */
  readonly key: DigestInput
  /** It came as `Authorization: DPoP`, by which the caller says that it is bound (RFC 9449 section 7.1). */
  readonly asBound: boolean
}

export interface KeyGuard {
  /**
   * Undefined at once for a key that has no bounds, or none but addresses that hold this one and origins that this page is of.
   * @throws BindingError, at once or in the promise; the refusal is on record then. DatabaseError `database_unavailable` for a proof that can't
   * be taken for all nodes.
   */
  admit(principal: KeyPrincipal, presented: Presented): Promise<void> | undefined
  close(): void
}

const SWEEP_MS = 10_000
const SWEEP_BATCH = 10_000
/** Longer than a proof's life: the clocks of nodes differ, and one that is behind takes it for younger than it is. */
const SHARED_LIFE_S = 2 * PROOF_LIFE_S

export function createKeyGuard(options: KeyGuardOptions): KeyGuard {
  return new BoundKeyGuard(options)
}

class BoundKeyGuard implements KeyGuard {
  readonly #o: KeyGuardOptions
  readonly #proofs: ProofMemory
  readonly #refusals: Refusals
  readonly #sweeper: NodeJS.Timeout
  #sweeping = false
  #closed = false

  constructor(options: KeyGuardOptions) {
    this.#o = options
    this.#proofs = new ProofMemory(options.clock)
    this.#refusals = new Refusals(options.useLog, options.logger)
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS)
    this.#sweeper.unref()
  }

  admit(principal: KeyPrincipal, presented: Presented): Promise<void> | undefined {
    const { bounds } = principal
    const sender = bounds?.sender ?? null
    if (presented.asBound && sender?.kind !== 'dpop') throw new BindingError('unauthenticated', 'sent as bound to a DPoP key, and is not')
    if (bounds === null) return undefined
    try {
      requireAddress(bounds, presented.address)
      requireOrigin(bounds, presented.request.rawHeaders)
      if (sender?.kind === 'certificate') this.#requireCertificate(sender.thumbprint, presented)
    } catch (error) {
      throw this.#noted(error, principal, presented)
    }
    if (sender?.kind !== 'dpop') return undefined
    return this.#requireProof(principal, sender.thumbprint, presented).catch((error: unknown) => {
      throw this.#noted(error, principal, presented)
    })
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#sweeper)
    this.#refusals.close()
  }

  #sweep(): void {
    this.#proofs.sweep()
    if (!this.#sweeping) void this.#sweepShared()
  }

  /** To the end, so that what comes faster than a batch for each time does not pile up. */
  async #sweepShared(): Promise<void> {
    const { proofs, logger } = this.#o
    this.#sweeping = true
    try {
      while (!this.#closed && (await proofs.proofSweep(SWEEP_BATCH)) >= SWEEP_BATCH);
    } catch (error) {
      logger.warn('Proofs could not be swept', { error })
    } finally {
      this.#sweeping = false
    }
  }

  async #requireProof({ org, keyId }: KeyPrincipal, thumbprint: string, { request, key }: Presented): Promise<void> {
    const { publicUrl, clock, nonces, requireNonce } = this.#o
    const [proof, ...others] = rawValues(request.rawHeaders, 'dpop')
    if (proof === undefined) throw new BindingError('proof_required', 'no proof')
    if (others.length > 0) throw new BindingError('proof_invalid', 'more than one proof')
    const expected = {
      thumbprint,
      method: request.method ?? '',
      url: publicUrl + (request.url ?? ''),
      token: key,
      now: clock.now(),
      nonceIsGood: requireNonce ? (nonce: string) => nonces.isGood(nonce) : undefined,
    }
    const { id } = await judgeDpopProof(proof, expected).catch((error: unknown) => {
      throw refusedProof(error, () => nonces.current())
    })
    // The signature is checked by now: nobody else can use up a proof's one time.
    const hash = sha256(keyId, id)
    requireTaken(this.#proofs.take(org, hash))
    if (!(await this.#o.proofs.proofTake(hash, SHARED_LIFE_S))) requireTaken('replayed')
  }

  #requireCertificate(thumbprint: string, { request }: Presented): void {
    const { certificateHeader, isTrustedPeer } = this.#o
    // The connection of a proxy that speaks for its clients is its own, and so is the certificate that it was opened with.
    const spokenFor = certificateHeader !== undefined && isTrustedPeer(request.socket.remoteAddress ?? '')
    const shown = spokenFor ? certificateThumbprint(request.rawHeaders, certificateHeader) : connectionThumbprint(request.socket)
    if (shown === undefined) throw new BindingError('certificate_required', 'no certificate, or none that can be believed')
    if (!digestEquals(Buffer.from(shown), Buffer.from(thumbprint))) throw new BindingError('certificate_mismatch', 'another certificate')
  }

  #noted(error: unknown, principal: KeyPrincipal, { address }: Presented): unknown {
    // Asking for a nonce is part of the exchange, not a refusal of the caller.
    if (error instanceof BindingError && error.code !== 'proof_nonce_required') this.#refusals.note(principal, error.code, address)
    return error
  }
}

function requireAddress({ addresses }: KeyBounds, address: string): void {
  if (addresses.length === 0) return
  const bytes = addressBytes(address)
  if (bytes === undefined || !addresses.every((ranges) => isInRanges(bytes, ranges))) {
    throw new BindingError('address_refused', 'outside the ranges of the key')
  }
}

/**
 * A browser says of which page a request of another origin is, and lets no page say otherwise. Whoever is no browser can say anything: this holds a
 * key that stands in a page to the pages it was made for, and no thief to anything. Compared as text, since both were spelled by the same rule.
 */
function requireOrigin({ origins }: KeyBounds, rawHeaders: readonly string[]): void {
  if (origins.length === 0) return
  const [origin, ...others] = rawValues(rawHeaders, 'origin')
  if (origin === undefined || others.length > 0 || !origins.every((list) => list.includes(origin))) {
    throw new BindingError('origin_refused', 'not from a page of the key')
  }
}

function requireTaken(taken: Taken): void {
  if (taken === 'replayed') throw new BindingError('proof_replayed', 'a proof that was used before')
  if (taken === 'full') throw new BindingError('overloaded', 'too many proofs to remember')
}
