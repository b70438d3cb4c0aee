/**
 * Owns a server on loopback that speaks the published HTTP API of HashiCorp Vault and OpenBao, as far as keys are had from it: KV version 2,
 * transit encrypt and decrypt with associated data, AppRole login, tokens that end, the sealed and throttled states. Refuses what they refuse, with
 * their status.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerBadly, isBadAnswer } from '../servers/bad-answers.ts'
import type { BadAnswer } from '../servers/bad-answers.ts'

/**
 * What the next requests meet. `careless`: a version that doesn't know associated data. `standby`: a redirect to the active node. `stale`: what was
 * said to the same question's kind last time. `garbage`: other bytes of the same form.
 */
export type HashicorpBehaviour =
  | 'lawful'
  | 'throttled'
  | 'internal'
  | 'sealed'
  | 'standby'
  | BadAnswer
  | 'denied'
  | 'careless'
  | 'stale'
  | 'garbage'

export interface Hashicorp {
  readonly address: string
  /** One that never ends. */
  readonly token: string
  readonly roleId: string
  readonly secretId: string
  /** Makes or rotates the transit key. */
  rotateTransitKey(name: string): void
  deleteTransitKey(name: string): void
  /** A new version of `secret/<path>`. */
  putSecret(path: string, data: Readonly<Record<string, unknown>>): void
  behave(behaviour: HashicorpBehaviour, times?: number): void
  /** Ends every token of AppRole. */
  revokeTokens(): void
  /** `GET /v1/secret/data/x`, oldest first, refused ones too. */
  readonly calls: string[]
  readonly namespaces: (string | undefined)[]
  close(): Promise<void>
}

interface Outcome {
  readonly status: number
  readonly body: unknown
}

const LEASE_SECONDS = 3600

/** With a certificate it speaks https alone. */
export async function startHashicorp(tls?: { readonly cert: string; readonly key: string }): Promise<Hashicorp> {
  const desk = new Desk()
  const serve = (request: IncomingMessage, response: ServerResponse): void => void desk.serve(request, response)
  const server = tls === undefined ? createServer(serve) : createTlsServer({ ...tls }, serve)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${(server.address() as AddressInfo).port}`,
    token: desk.token,
    roleId: desk.roleId,
    secretId: desk.secretId,
    rotateTransitKey: (name) => desk.rotateTransitKey(name),
    deleteTransitKey: (name) => desk.deleteTransitKey(name),
    putSecret: (path, data) => desk.putSecret(path, data),
    behave: (behaviour, times = Number.POSITIVE_INFINITY) => {
      desk.behaviour = behaviour
      desk.times = times
    },
    revokeTokens: () => desk.issued.clear(),
    calls: desk.calls,
    namespaces: desk.namespaces,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}

class Desk {
  behaviour: HashicorpBehaviour = 'lawful'
  times = 0
  readonly token = `not-a-token-${randomBytes(12).toString('hex')}`
  readonly roleId = `role-${randomBytes(6).toString('hex')}`
  readonly secretId = `not-a-secret-${randomBytes(12).toString('hex')}`
  readonly issued = new Set<string>()
  readonly calls: string[] = []
  readonly namespaces: (string | undefined)[] = []
  readonly #transit = new Map<string, Buffer[]>()
  readonly #secrets = new Map<string, Readonly<Record<string, unknown>>[]>()
  readonly #said = new Map<string, Outcome>()

  rotateTransitKey(name: string): void {
    this.#transit.set(name, [...(this.#transit.get(name) ?? []), randomBytes(32)])
  }

  deleteTransitKey(name: string): void {
    this.#transit.delete(name)
  }

  putSecret(path: string, data: Readonly<Record<string, unknown>>): void {
    this.#secrets.set(path, [...(this.#secrets.get(path) ?? []), data])
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.calls.push(`${request.method} ${request.url}`)
    this.namespaces.push(request.headers['x-vault-namespace'] as string | undefined)
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const behaviour = this.#next()
    if (behaviour === 'standby') return void response.writeHead(307, { location: 'http://127.0.0.1:9/' }).end()
    const right = this.#answer(request, Buffer.concat(chunks).toString('utf8'), behaviour)
    const kind = String(request.url)
    const outcome = behaviour === 'stale' ? (this.#said.get(kind) ?? right) : behaviour === 'garbage' ? scrambled(right) : right
    this.#said.set(kind, outcome)
    const answer = { status: outcome.status, type: 'application/json', body: JSON.stringify(outcome.body) }
    if (isBadAnswer(behaviour)) return answerBadly(response, behaviour, answer)
    response.writeHead(answer.status, { 'content-type': answer.type }).end(answer.body)
  }

  #next(): HashicorpBehaviour {
    if (this.times <= 0) return 'lawful'
    this.times -= 1
    return this.behaviour
  }

  #answer(request: IncomingMessage, text: string, behaviour: HashicorpBehaviour): Outcome {
    if (behaviour === 'throttled') return refused(429, 'request path is rate limited')
    if (behaviour === 'internal') return refused(500, 'internal error')
    if (behaviour === 'sealed') return refused(503, 'Vault is sealed')
    const input = (text === '' ? {} : JSON.parse(text)) as Readonly<Record<string, string>>
    const path = request.url!.replace(/^\/v1\//, '')
    if (path === 'auth/approle/login') return this.#login(input)
    const token = String(request.headers['x-vault-token'])
    if (behaviour === 'denied' || (token !== this.token && !this.issued.has(token))) return refused(403, 'permission denied')
    const [, operation, name] = /^transit\/(encrypt|decrypt)\/([\w.-]+)$/.exec(path) ?? []
    if (operation !== undefined) return this.#crypt(operation, name!, input, behaviour)
    const [, secret] = /^secret\/data\/([\w./-]+)$/.exec(path) ?? []
    return secret !== undefined && request.method === 'GET' ? this.#read(secret) : refused(404, 'no handler for route')
  }

  #login({ role_id, secret_id }: Readonly<Record<string, string>>): Outcome {
    if (role_id !== this.roleId || secret_id !== this.secretId) return refused(400, 'invalid role or secret ID')
    const token = `not-a-token-${randomBytes(12).toString('hex')}`
    this.issued.add(token)
    return { status: 200, body: { auth: { client_token: token, lease_duration: LEASE_SECONDS, renewable: true } } }
  }

  #crypt(operation: string, name: string, input: Readonly<Record<string, string>>, behaviour: HashicorpBehaviour): Outcome {
    const versions = this.#transit.get(name)
    if (versions === undefined) return refused(400, 'encryption key not found')
    const aad = Buffer.from(behaviour === 'careless' ? '' : (input['associated_data'] ?? ''), 'base64')
    return operation === 'encrypt'
      ? encrypted(versions, input['plaintext'] ?? '', aad)
      : decrypted(versions, input['ciphertext'] ?? '', aad)
  }

  #read(path: string): Outcome {
    const versions = this.#secrets.get(path)
    const data = versions?.at(-1)
    if (versions === undefined || data === undefined) return { status: 404, body: { errors: [] } }
    return {
      status: 200,
      body: { data: { data, metadata: { version: versions.length, destroyed: false, deletion_time: '' } }, lease_duration: 0 },
    }
  }
}

function scrambled({ status, body }: Outcome): Outcome {
  const { data } = body as { readonly data?: Readonly<Record<string, unknown>> }
  const random = (text: unknown): string => randomBytes(Buffer.from(String(text), 'base64').length).toString('base64')
  if (typeof data?.['ciphertext'] === 'string') {
    return { status, body: { data: { ...data, ciphertext: `vault:v1:${random(data['ciphertext'].split(':')[2])}` } } }
  }
  return typeof data?.['plaintext'] === 'string' ? { status, body: { data: { plaintext: random(data['plaintext']) } } } : { status, body }
}

function encrypted(versions: readonly Buffer[], plaintext: string, aad: Buffer): Outcome {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', versions.at(-1)!, iv).setAAD(aad)
  const sealed = Buffer.concat([iv, cipher.update(Buffer.from(plaintext, 'base64')), cipher.final(), cipher.getAuthTag()])
  return {
    status: 200,
    body: { data: { ciphertext: `vault:v${versions.length}:${sealed.toString('base64')}`, key_version: versions.length } },
  }
}

function decrypted(versions: readonly Buffer[], ciphertext: string, aad: Buffer): Outcome {
  const [, version = '0', text = ''] = /^vault:v(\d+):(.+)$/.exec(ciphertext) ?? []
  const key = versions[Number(version) - 1]
  const sealed = Buffer.from(text, 'base64')
  if (key === undefined || sealed.length < 28 || sealed.toString('base64') !== text) return refused(400, 'invalid ciphertext')
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12)).setAAD(aad).setAuthTag(sealed.subarray(-16))
    const opened = Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()])
    return { status: 200, body: { data: { plaintext: opened.toString('base64') } } }
  } catch {
    return refused(400, 'cipher: message authentication failed')
  }
}

function refused(status: number, error: string): Outcome {
  return { status, body: { errors: [error] } }
}
