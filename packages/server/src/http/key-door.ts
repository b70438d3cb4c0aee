/**
 * Owns the first look at a gateway key of a control plane request: one that memory already knows to be none is refused before anything is made of the request, so that a
 * flood of bad keys costs as little here as on the data plane (G7). Refuses nothing that the guard behind it would let in, and decides nothing else.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { operations } from '@sallyport/contract'
import type { Operation } from '@sallyport/contract'
import { formatId, newId } from '@sallyport/core'
import type { Logger } from '@sallyport/core'
import { IdentityError } from '../identity/index.ts'
import type { KeyAuthenticator } from '../identity/index.ts'
import { clientAddress, rawValues } from './client-address.ts'
import type { TrustedProxies } from './client-address.ts'
import { credentialOf } from './credentials.ts'
import type { Credential } from './credentials.ts'
import { sendProblem } from './problem.ts'
import { lingerOverBody } from './unread-body.ts'

export interface KeyDoorOptions {
  readonly keys: Pick<KeyAuthenticator, 'judge'>
  readonly trustedProxies: TrustedProxies
  readonly sessionCookie: string
  /** Of every answer. */
  readonly headers: Readonly<Record<string, string>>
  readonly logger: Logger
}

const PREFIX = '/api/v1/'

/** The operations that read a credential, by method, each method's in one expression: what takes none reads none, however wrong, and what is not there is not found. */
const READING: ReadonlyMap<string, RegExp> = readingByMethod()

function readingByMethod(): ReadonlyMap<string, RegExp> {
  const paths = new Map<string, string[]>()
  for (const { method, path, access } of Object.values<Operation>(operations)) {
    if (access.audience === 'public') continue
    const pattern = path.replace(/\{\w+\}/gu, '[^/]+')
    for (const one of method === 'GET' ? ['GET', 'HEAD'] : [method]) paths.set(one, [...(paths.get(one) ?? []), pattern])
  }
  return new Map([...paths].map(([method, patterns]) => [method, new RegExp(`^(?:${patterns.join('|')})$`, 'u')]))
}

/** Answers such a request, and says true. Nothing is waited for. */
export function createKeyDoor({
  keys,
  trustedProxies,
  sessionCookie,
  headers,
  logger,
}: KeyDoorOptions): (request: IncomingMessage, response: ServerResponse) => boolean {
  return (request, response) => {
    const url = request.url ?? ''
    if (!url.startsWith(PREFIX)) return false
    const credential = readCredential(request, sessionCookie)
    if (credential?.kind !== 'key' || !readsOne(request.method!, url)) return false
    const judged = keys.judge(credential.text.reveal(), () =>
      clientAddress(request.socket.remoteAddress ?? '', rawValues(request.rawHeaders, 'x-forwarded-for'), trustedProxies),
    )
    if (!(judged instanceof IdentityError)) return false
    lingerOverBody(request, response)
    const id = formatId('req', newId('req'))
    const { code } = sendProblem(response, judged, id, headers)
    logger.debug('request refused', { request: id, method: request.method, code })
    return true
  }
}

/** Undefined where the guard refuses it for its form. */
function readCredential({ rawHeaders, url }: IncomingMessage, sessionCookie: string): Credential | undefined {
  try {
    return credentialOf(rawHeaders, url!, sessionCookie)
  } catch {
    return undefined
  }
}

function readsOne(method: string, url: string): boolean {
  return READING.get(method)?.test(url.split('?', 1)[0]!) === true
}
