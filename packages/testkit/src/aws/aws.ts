/**
 * Owns AWS KMS and Secrets Manager on loopback, as far as keys are had from them: Encrypt, Decrypt, GetSecretValue, over JSON 1.1. Refuses what is
 * not signed rightly (signature.ts). It is itself judged by AWS's own client, which must be able to work with it.
 */
import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerBadly, isBadAnswer } from '../servers/bad-answers.ts'
import type { BadAnswer } from '../servers/bad-answers.ts'
import { signatureFault } from './signature.ts'

/**
 * What the next requests meet. `other_key`: as if another key or secret had been asked for. `disabled`: as if an operator had disabled the key.
 * `careless`: a KMS that binds no context. `stale`: what was said to the same question's kind last time. `garbage`: other bytes of the same form.
 */
export type AwsBehaviour =
  | 'lawful'
  | BadAnswer
  | 'moved'
  | 'throttled'
  | 'internal'
  | 'denied'
  | 'disabled'
  | 'other_key'
  | 'careless'
  | 'stale'
  | 'garbage'

export interface Aws {
  /** Of both services. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Makes a symmetric key; gives its ARN. */
  createKey(): string
  /** Makes a secret, or a new version of the one with this ARN. Gives the ARN. */
  putSecret(text: string, arn?: string): string
  /** From the next request on; after `times` requests it is lawful again. */
  behave(behaviour: AwsBehaviour, times?: number): void
  /** Targets asked for, oldest first, refused ones too. */
  readonly calls: string[]
  /** What rightly signed requests said. */
  readonly inputs: Readonly<Record<string, unknown>>[]
  close(): Promise<void>
}

interface Outcome {
  readonly status: number
  readonly body: unknown
}

const REGION = 'eu-central-1'
const ACCOUNT = '111122223333'
const IV_BYTES = 12
const TAG_BYTES = 16

export async function startAws(): Promise<Aws> {
  const desk = new Desk()
  const server = createServer((request, response) => void desk.serve(request, response))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    region: REGION,
    accessKeyId: desk.accessKeyId,
    secretAccessKey: desk.secretAccessKey,
    createKey: () => desk.createKey(),
    putSecret: (text, arn) => desk.putSecret(text, arn),
    behave: (behaviour, times = Number.POSITIVE_INFINITY) => {
      desk.behaviour = behaviour
      desk.times = times
    },
    calls: desk.calls,
    inputs: desk.inputs,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

class Desk {
  behaviour: AwsBehaviour = 'lawful'
  times = 0
  readonly accessKeyId = `NOTREAL${randomBytes(6).toString('hex').toUpperCase()}`
  readonly secretAccessKey = `not-a-secret-${randomBytes(16).toString('hex')}`
  readonly calls: string[] = []
  readonly inputs: Record<string, unknown>[] = []
  readonly #keys = new Map<string, Buffer>()
  readonly #secrets = new Map<string, string>()
  readonly #said = new Map<string, Outcome>()

  createKey(): string {
    const arn = `arn:aws:kms:${REGION}:${ACCOUNT}:key/${randomUUID()}`
    this.#keys.set(arn, randomBytes(32))
    return arn
  }

  putSecret(text: string, arn = `arn:aws:secretsmanager:${REGION}:${ACCOUNT}:secret:root-keys-${randomBytes(3).toString('hex')}`): string {
    this.#secrets.set(arn, text)
    return arn
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = String(request.headers['x-amz-target'])
    this.calls.push(target)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const behaviour = this.#next()
    if (behaviour === 'moved') return void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end()
    const right = this.#answer(request, target, Buffer.concat(chunks), behaviour)
    const outcome = behaviour === 'stale' ? (this.#said.get(target) ?? right) : behaviour === 'garbage' ? scrambled(right) : right
    this.#said.set(target, outcome)
    const answer = { status: outcome.status, type: 'application/x-amz-json-1.1', body: JSON.stringify(outcome.body) }
    if (isBadAnswer(behaviour)) return answerBadly(response, behaviour, answer)
    response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body)
  }

  #next(): AwsBehaviour {
    if (this.times <= 0) return 'lawful'
    this.times -= 1
    return this.behaviour
  }

  #answer(request: IncomingMessage, target: string, body: Buffer, behaviour: AwsBehaviour): Outcome {
    const service = target.startsWith('TrentService.') ? 'kms' : 'secretsmanager'
    const { accessKeyId, secretAccessKey } = this
    const fault = signatureFault(request, body, { accessKeyId, secretAccessKey, region: REGION, service })
    if (fault !== undefined) return refused(fault)
    if (behaviour === 'throttled') return refused('ThrottlingException')
    if (behaviour === 'internal') return refused('KMSInternalException', 500)
    if (behaviour === 'denied') return refused('com.amazonaws.kms#AccessDeniedException')
    if (behaviour === 'disabled') return refused('DisabledException')
    const input = JSON.parse(body.toString('utf8')) as Record<string, unknown>
    this.inputs.push(input)
    const other = behaviour === 'other_key'
    if (target === 'TrentService.Encrypt') return this.#encrypt(input, behaviour)
    if (target === 'TrentService.Decrypt') return this.#decrypt(input, behaviour)
    if (target === 'secretsmanager.GetSecretValue') return this.#secret(String(input['SecretId']), other)
    return refused('UnknownOperationException')
  }

  #encrypt({ KeyId, Plaintext, EncryptionContext }: Record<string, unknown>, behaviour: AwsBehaviour): Outcome {
    const arn = String(KeyId)
    const key = this.#keys.get(arn)
    if (key === undefined) return refused('NotFoundException')
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(aad(EncryptionContext, behaviour))
    const sealed = Buffer.concat([cipher.update(Buffer.from(String(Plaintext), 'base64')), cipher.final()])
    const blob = Buffer.concat([Buffer.from(`${arn}\n`), iv, cipher.getAuthTag(), sealed])
    return {
      status: 200,
      body: { CiphertextBlob: blob.toString('base64'), KeyId: named(arn, behaviour), EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' },
    }
  }

  #decrypt({ KeyId, CiphertextBlob, EncryptionContext }: Record<string, unknown>, behaviour: AwsBehaviour): Outcome {
    const blob = Buffer.from(String(CiphertextBlob), 'base64')
    const end = blob.indexOf('\n')
    const arn = blob.toString('latin1', 0, Math.max(end, 0))
    if (typeof KeyId === 'string' && !this.#keys.has(KeyId)) return refused('NotFoundException')
    const key = this.#keys.get(arn)
    if (key === undefined) return refused('InvalidCiphertextException')
    if (KeyId !== undefined && KeyId !== arn) return refused('IncorrectKeyException')
    const [iv, tag, sealed] = [
      blob.subarray(end + 1, end + 1 + IV_BYTES),
      blob.subarray(end + 1 + IV_BYTES, end + 1 + IV_BYTES + TAG_BYTES),
      blob.subarray(end + 1 + IV_BYTES + TAG_BYTES),
    ]
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(aad(EncryptionContext, behaviour)).setAuthTag(tag)
      const opened = Buffer.concat([decipher.update(sealed), decipher.final()])
      return { status: 200, body: { Plaintext: opened.toString('base64'), KeyId: named(arn, behaviour) } }
    } catch {
      return refused('InvalidCiphertextException')
    }
  }

  #secret(arn: string, other: boolean): Outcome {
    const text = this.#secrets.get(arn)
    if (text === undefined) return refused('ResourceNotFoundException')
    return {
      status: 200,
      body: { ARN: other ? `${arn}x` : arn, Name: 'root-keys', SecretString: text, VersionId: randomUUID(), VersionStages: ['AWSCURRENT'] },
    }
  }
}

function aad(context: unknown, behaviour: AwsBehaviour): Buffer {
  const entries = behaviour === 'careless' ? [] : Object.entries((context ?? {}) as Record<string, string>)
  return Buffer.from(JSON.stringify(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))))
}

function scrambled({ status, body }: Outcome): Outcome {
  const of = body as Readonly<Record<string, unknown>>
  const scramble = (name: string): object =>
    typeof of[name] === 'string' ? { [name]: randomBytes(Buffer.from(of[name], 'base64').length).toString('base64') } : {}
  return { status, body: { ...of, ...scramble('CiphertextBlob'), ...scramble('Plaintext') } }
}

function named(arn: string, behaviour: AwsBehaviour): string {
  return behaviour === 'other_key' ? arn.replace(/[0-9a-f]{12}$/, '000000000000') : arn
}

function refused(type: string, status = 400): Outcome {
  return { status, body: { __type: type, message: 'what an operator would read' } }
}
