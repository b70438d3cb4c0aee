/**
 * Owns ending TLS: the certificate as its files hold it, read again when they change, and what is agreed with clients. Refuses TLS below 1.2, ciphers
 * without forward secrecy or authentication, renegotiation, a key that is of another certificate, and to leave a pair that works for one that does not.
 */
import { constants, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ServerOptions, Server as HttpServer } from 'node:http'
import { createServer } from 'node:https'
import type { Socket } from 'node:net'
import { createSecureContext, TLSSocket } from 'node:tls'
import type { SecureContextOptions } from 'node:tls'
import { SallyportError, Secret, sha256 } from '@sallyport/core'
import type { Clock, Logger, Metrics } from '@sallyport/core'
import type { RequestListener } from './node-server.ts'

/** `tls_files_unusable`: the certificate, its key or the clients' authorities can't be read, don't fit each other, or are of another time. */
export type TlsErrorCode = 'tls_files_unusable'

export class TlsError extends SallyportError<TlsErrorCode> {
  override readonly name = 'TlsError'

  constructor(message: string) {
    super('tls_files_unusable', message)
  }
}

export interface TlsFiles {
  readonly certFile: string
  readonly keyFile: string
  /** Authorities of clients' certificates; undefined: clients are asked for none. */
  readonly clientCaFile?: string | undefined
  readonly clientCertificates: 'required' | 'optional'
}

interface Terms {
  readonly cert: string
  readonly key: Secret
  readonly ca?: string
}

/** A certificate in use. */
export interface TlsCertificate {
  readonly terms: Terms
  readonly clients: 'none' | 'optional' | 'required'
  /** Of the certificate in use. */
  readonly endsAt: Date
  /** Is told of each change; the one listener is the server. */
  onChange(listener: (terms: Terms) => void): void
  /** Looks whether the files have changed, and whether the certificate nears its end. Never rejects. */
  look(): Promise<void>
  /** Looks every ten seconds from now on. */
  start(): void
  close(): void
  /** Counts a client that TLS was not agreed with. */
  handshakeFailed(): void
}

/** Watching by asking: files of mounted secrets are swapped by links, which no watcher of one file sees. */
const LOOK_EVERY_MS = 10_000
/** What is left of a certificate when its end is said, and how often it is. */
const NEAR_END_MS = 14 * 86_400_000
const SAY_EVERY_MS = 86_400_000
/** As long as authorities have signed none below it (CA/Browser Forum Baseline Requirements section 6.1.5). */
const LEAST_RSA_BITS = 2_048

export interface TlsParts {
  readonly clock: Clock
  readonly logger: Logger
  readonly metrics: Metrics
}

/** @throws TlsError when the files can't be used as they are now. */
export async function openTlsCertificate(files: TlsFiles, parts: TlsParts): Promise<TlsCertificate> {
  return new WatchedCertificate(files, await readPair(files, parts.clock.now()), parts)
}

/** By the settings of a gateway; undefined where a proxy in front ends TLS. @throws TlsError */
export async function openConfiguredCertificate(
  {
    certFile,
    keyFile,
    ...clients
  }: Omit<TlsFiles, 'certFile' | 'keyFile'> & { readonly certFile?: string | undefined; readonly keyFile?: string | undefined },
  parts: TlsParts,
): Promise<TlsCertificate | undefined> {
  return certFile === undefined || keyFile === undefined ? undefined : openTlsCertificate({ certFile, keyFile, ...clients }, parts)
}

interface Pair {
  readonly terms: Terms
  readonly endsAt: number
  readonly fingerprint: string
}

class WatchedCertificate implements TlsCertificate {
  readonly clients: TlsCertificate['clients']
  readonly #files: TlsFiles
  readonly #parts: TlsParts
  #pair: Pair
  #listener: (terms: Terms) => void = () => undefined
  #timer: NodeJS.Timeout | undefined
  #complaint = ''
  #saidAt = -Infinity
  #looking: Promise<void> | undefined

  constructor(files: TlsFiles, pair: Pair, parts: TlsParts) {
    this.clients = files.clientCaFile === undefined ? 'none' : files.clientCertificates
    this.#files = files
    this.#pair = pair
    this.#parts = parts
    this.#tellEnd()
  }

  get terms(): Terms {
    return this.#pair.terms
  }

  get endsAt(): Date {
    return new Date(this.#pair.endsAt)
  }

  onChange(listener: (terms: Terms) => void): void {
    this.#listener = listener
  }

  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => (this.#looking = undefined))
    return this.#looking
  }

  start(): void {
    this.#timer = setInterval(() => void this.look(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  handshakeFailed(): void {
    this.#parts.metrics.count('sallyport_tls_handshakes_failed_total', {})
  }

  async #look(): Promise<void> {
    const { clock, logger, metrics } = this.#parts
    try {
      const pair = await readPair(this.#files, clock.now())
      this.#complaint = ''
      if (pair.fingerprint !== this.#pair.fingerprint) {
        this.#listener(pair.terms)
        this.#pair = pair
        this.#saidAt = -Infinity
        metrics.count('sallyport_tls_certificate_reads_total', { outcome: 'taken' })
        logger.info('Another TLS certificate is in use', { endsAt: new Date(pair.endsAt).toISOString() })
      }
    } catch (error) {
      const complaint = error instanceof TlsError ? error.message : 'they can not be used'
      // One for each state that the files are in: between two of them a renewal is half done.
      if (complaint !== this.#complaint) {
        metrics.count('sallyport_tls_certificate_reads_total', { outcome: 'refused' })
        logger.error('The files of TLS can not be used as they are now; what was read before goes on', { error })
      }
      this.#complaint = complaint
    }
    this.#tellEnd()
  }

  #tellEnd(): void {
    const { clock, logger, metrics } = this.#parts
    const { endsAt } = this.#pair
    metrics.gauge('sallyport_tls_certificate_end_seconds', {}, Math.floor(endsAt / 1_000))
    const leftMs = endsAt - clock.now()
    if (leftMs > NEAR_END_MS || clock.monotonic() - this.#saidAt < SAY_EVERY_MS) return
    this.#saidAt = clock.monotonic()
    const fields = { endsAt: new Date(endsAt).toISOString() }
    if (leftMs > 0) logger.warn('The TLS certificate ends soon', fields)
    else logger.error('The TLS certificate has ended: clients that verify it are gone', fields)
  }
}

async function readPair({ certFile, keyFile, clientCaFile }: TlsFiles, now: number): Promise<Pair> {
  const cert = await textOf(certFile)
  const key = new Secret(await textOf(keyFile))
  const ca = clientCaFile === undefined ? undefined : await textOf(clientCaFile)
  const leaf = certificateIn(cert, certFile)
  const endsAt = judgeLeaf(leaf, certFile, now)
  if (ca !== undefined) certificateIn(ca, clientCaFile!)
  const terms = { cert, key, ...(ca === undefined ? {} : { ca }) }
  requireFit(terms, keyFile, certFile)
  return { terms, endsAt, fingerprint: sha256(cert, key, ca ?? '').toString('base64') }
}

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new TlsError(`${file} can't be read (${(error as NodeJS.ErrnoException).code ?? 'no reason given'})`)
  }
}

function certificateIn(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new TlsError(`${file} begins with no certificate in PEM`)
  }
}

/** @returns the moment of its end, in milliseconds since 1970. */
function judgeLeaf({ validFrom, validTo, publicKey }: X509Certificate, file: string, now: number): number {
  const endsAt = Date.parse(validTo)
  if (now >= endsAt) throw new TlsError(`the certificate of ${file} has ended (${validTo}): no client that verifies it comes in`)
  if (now < Date.parse(validFrom)) throw new TlsError(`the certificate of ${file} does not begin before ${validFrom}`)
  const bits = publicKey.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < LEAST_RSA_BITS)
    throw new TlsError(`the certificate of ${file} has a key of ${bits} bits, and ${LEAST_RSA_BITS} are the least`)
  return endsAt
}

function requireFit(terms: Terms, keyFile: string, certFile: string): void {
  try {
    createSecureContext(contextOf(terms))
  } catch (error) {
    // OpenSSL's codes name no content.
    const code = (error as NodeJS.ErrnoException).code ?? 'no code'
    throw new TlsError(`${keyFile} holds no key in PEM without a passphrase that belongs to the certificate of ${certFile} (${code})`)
  }
}

/** Forward secrecy and authenticated encryption alone (RFC 9325 section 4.2); TLS 1.3 has no others. */
const AGREED = {
  minVersion: 'TLSv1.2',
  ciphers: [
    'TLS_AES_128_GCM_SHA256',
    'TLS_AES_256_GCM_SHA384',
    'TLS_CHACHA20_POLY1305_SHA256',
    'ECDHE-ECDSA-AES128-GCM-SHA256',
    'ECDHE-RSA-AES128-GCM-SHA256',
    'ECDHE-ECDSA-AES256-GCM-SHA384',
    'ECDHE-RSA-AES256-GCM-SHA384',
    'ECDHE-ECDSA-CHACHA20-POLY1305',
    'ECDHE-RSA-CHACHA20-POLY1305',
  ].join(':'),
  // A client that renegotiates costs us a handshake, and itself nothing.
  secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies SecureContextOptions

function contextOf({ key, ...open }: Terms): SecureContextOptions {
  return { ...AGREED, ...open, key: key.reveal() }
}

/** A server that speaks nothing but TLS. A changed certificate is used from the next connection on; those that are open stay as they are. */
export function createTlsServer(
  certificate: TlsCertificate,
  options: ServerOptions & { readonly handshakeTimeout: number },
  listener: RequestListener,
): HttpServer {
  const server = createServer(
    {
      ...options,
      ...contextOf(certificate.terms),
      ALPNProtocols: ['http/1.1'],
      requestCert: certificate.clients !== 'none',
      rejectUnauthorized: certificate.clients === 'required',
    },
    listener,
  )
  certificate.onChange((terms) => server.setSecureContext(contextOf(terms)))
  // The server's own would answer in HTTP, to somebody who agreed on nothing.
  server.removeAllListeners('tlsClientError')
  server.on('tlsClientError', (_error, socket) => {
    certificate.handshakeFailed()
    socket.destroy()
  })
  server.on('secureConnection', (socket) => {
    if (socket.authorized || certificate.clients === 'none' || socket.getPeerX509Certificate() === undefined) return
    // Whoever shows one means it: nobody known has signed this.
    certificate.handshakeFailed()
    socket.destroy()
  })
  return server
}

/** The certificate that the client of a connection proved to be its own, in DER; undefined when it showed none or the connection is not TLS of ours. */
export function clientCertificateOf(socket: Socket): Buffer | undefined {
  return socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate()?.raw : undefined
}
