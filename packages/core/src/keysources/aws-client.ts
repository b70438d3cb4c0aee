/**
 * Owns calls to AWS services of the JSON 1.1 protocol: signed, asked patiently, their errors sorted. Refuses to pass on what an error says: only
 * its type, from a list, decides and is told.
 */
import * as z from 'zod'
import { CryptoError, KeySourceError } from '../crypto/index.ts'
import type { Egress } from '../http/index.ts'
import { systemClock } from '../kernel/index.ts'
import { signAws } from './aws-signature.ts'
import type { AwsCredentials } from './aws-signature.ts'
import { Patience } from './patience.ts'
import type { PatienceOptions } from './patience.ts'

/** Which service, where, and with whose credentials. */
export interface AwsClientOptions extends PatienceOptions {
  readonly egress: Pick<Egress, 'fetch'>
  /** The service's name in signatures, and for messages. */
  readonly service: 'kms' | 'secretsmanager'
  readonly region: string
  /** An origin. */
  readonly endpoint: string
  readonly credentials: AwsCredentials
}

/** Calls of one service. Patience and its circuit are in it. */
export interface AwsClient {
  /**
   * Carries out `target` (`TrentService.Decrypt`) and reads its answer.
   * @throws KeySourceError; CryptoError `decrypt_failed` when KMS says that a ciphertext doesn't open there.
   */
  call<T>(target: string, input: object, answer: z.ZodType<T>): Promise<T>
}

/** Types of errors that may pass. Everything that isn't listed here or below is a refusal. */
const PASSING = new Set([
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
  'RequestLimitExceeded',
  'LimitExceededException',
  'KMSInternalException',
  'KeyUnavailableException',
  'DependencyTimeoutException',
  'InternalServiceError',
  'InternalFailure',
  'ServiceUnavailable',
  'ServiceUnavailableException',
])
const NOT_OPENING = new Set(['InvalidCiphertextException', 'IncorrectKeyException'])

const MAX_ANSWER_BYTES = 128 * 1024
const errorAnswer = z.object({ __type: z.string().max(200) })

/** A client of one service in one region; calls are signed by Signature Version 4. */
export function createAwsClient(options: AwsClientOptions): AwsClient {
  const name = options.service === 'kms' ? 'AWS KMS' : 'AWS Secrets Manager'
  const patience = new Patience(name, options)
  return {
    call: (target, input, answer) =>
      patience.ask(async (signal) => {
        const { status, body } = await post(options, target, JSON.stringify(input), signal)
        if (status !== 200) throw failure(name, status, body)
        const parsed = answer.safeParse(body)
        if (!parsed.success) throw new KeySourceError('key_source_refused', `${name} gave an answer of another form`)
        return parsed.data
      }),
  }
}

interface Answer {
  readonly status: number
  /** Undefined when it was no JSON. */
  readonly body: unknown
}

async function post(options: AwsClientOptions, target: string, body: string, signal: AbortSignal): Promise<Answer> {
  const { egress, service, region, endpoint, credentials, clock = systemClock } = options
  const headers = signAws(
    {
      service,
      region,
      host: new URL(endpoint).host,
      headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': target },
      body,
      at: clock.now(),
    },
    credentials,
  )
  const response = await egress.fetch(`${endpoint}/`, { method: 'POST', headers, body, signal, maxBytes: MAX_ANSWER_BYTES })
  return { status: response.status, body: parseJson(await response.text()) }
}

function failure(name: string, status: number, body: unknown): KeySourceError | CryptoError {
  // A namespace before it, or an address behind it, in some services.
  const type = /(?:^|#)(\w{1,100})(?::|$)/.exec(errorAnswer.safeParse(body).data?.__type ?? '')?.[1] ?? ''
  if (NOT_OPENING.has(type)) return new CryptoError('decrypt_failed', 'the envelope does not open here')
  if (status >= 500 || status === 429 || PASSING.has(type)) {
    return new KeySourceError('key_source_unavailable', `${name} can't answer now (${type === '' ? status : type})`)
  }
  return new KeySourceError('key_source_refused', `${name} refused (${type === '' ? status : type})`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
