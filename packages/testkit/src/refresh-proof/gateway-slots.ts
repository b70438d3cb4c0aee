/**
 * Owns the slots of a proof in which real gateways run, one after another: each slot with a data folder of its own and wires to Postgres, Redis
 * and the issuer. Refuses to judge.
 */
import { join } from 'node:path'
import { GatewayRefused, startGatewayProcess } from '../gateway/process.ts'
import type { GatewayProcess } from '../gateway/process.ts'
import { slotName } from './fleet.ts'
import { addressOf, Slot, throughWire } from './slot.ts'
import type { NodeProcess } from './slot.ts'
import { startWire } from './wire.ts'
import type { Wire } from './wire.ts'

export interface GatewaySlotSettings {
  /** Data folders are made in it. The caller removes it. */
  readonly folder: string
  readonly database: Readonly<Record<string, string>>
  readonly rootKeys: string
  readonly redisUrl: string
  readonly issuerOrigin: string
  readonly upstreamOrigin: string
  /** Of the catalog; its endpoints lead to the issuer and the API of the proof. */
  readonly provider: string
}

export interface GatewayNode extends NodeProcess {
  readonly url: string
  output(): string
}

/** Longest end of a gateway that was asked to: calls may finish, and what is not saved is tried for so long. */
const DRAIN_MS = 5_000
const SAVE_MS = 25_000
const END_MS = 60_000
/** A port that was free is taken now and then by the time it is listened on. */
const STARTS = 3

export class GatewaySlot extends Slot<GatewayNode> {
  readonly #settings: GatewaySlotSettings
  readonly #through: Readonly<Record<'store' | 'hint' | 'issuer', Wire>>
  /** What its gateways printed, oldest first. */
  readonly outputs: (() => string)[] = []

  constructor(name: string, settings: GatewaySlotSettings, wires: Readonly<Record<'store' | 'hint' | 'issuer', Wire>>) {
    super(name, wires, END_MS)
    this.#settings = settings
    this.#through = wires
  }

  protected override async launch(node: string): Promise<GatewayNode> {
    for (let start = 1; ; start++) {
      try {
        const gateway = await this.#startOne(node)
        this.outputs.push(() => gateway.output())
        return seenAsNode(node, gateway)
      } catch (error) {
        if (!(error instanceof GatewayRefused) || start === STARTS) throw error
      }
    }
  }

  #startOne(node: string): Promise<GatewayProcess> {
    const { folder, database, rootKeys, redisUrl, issuerOrigin, upstreamOrigin, provider } = this.#settings
    const issuer = throughWire(issuerOrigin, this.#through.issuer).replace(/\/$/u, '')
    const endpoints = {
      authorizationEndpoint: `${issuer}/authorize`,
      tokenEndpoint: `${issuer}/at/${node}/token`,
      userinfoEndpoint: `${issuer}/user`,
      apiBase: upstreamOrigin,
    }
    return startGatewayProcess({
      dataDir: join(folder, this.name),
      database: { ...database, SALLYPORT_DATABASE_URL: throughWire(database['SALLYPORT_DATABASE_URL']!, this.#through.store) },
      variables: {
        SALLYPORT_ENCRYPTION_KEYS: rootKeys,
        SALLYPORT_REDIS_URL: throughWire(redisUrl, this.#through.hint),
        SALLYPORT_REFRESH_BUFFER_MS: '10000',
        SALLYPORT_LOG_LEVEL: 'warn',
        SALLYPORT_DRAIN_TIMEOUT_MS: String(DRAIN_MS),
        SALLYPORT_SAVE_TIMEOUT_MS: String(SAVE_MS),
      },
      file: { egress: { insecureAllowOrigins: [issuer, upstreamOrigin] }, providers: { [provider]: endpoints } },
    })
  }
}

function seenAsNode(node: string, gateway: GatewayProcess): GatewayNode {
  let alive = true
  const ended = gateway.ended.finally(() => (alive = false))
  return {
    node,
    url: gateway.url,
    output: () => gateway.output(),
    ended,
    alive: () => alive,
    kill: () => gateway.kill(),
    async terminate(patienceMs) {
      let late = false
      const timer = setTimeout(() => {
        late = true
        void gateway.kill()
      }, patienceMs)
      const code = await gateway.stop()
      clearTimeout(timer)
      return late ? null : code
    },
    pause: () => void process.kill(gateway.pid, 'SIGSTOP'),
    // It may have been ended meanwhile.
    resume: () => void (alive && process.kill(gateway.pid, 'SIGCONT')),
  }
}

export async function openGatewaySlots(count: number, settings: GatewaySlotSettings): Promise<readonly GatewaySlot[]> {
  return await Promise.all(
    Array.from({ length: count }, async (_, index) => {
      const [store, hint, issuer] = await Promise.all(
        [settings.database['SALLYPORT_DATABASE_URL']!, settings.redisUrl, settings.issuerOrigin].map((url) => startWire(addressOf(url))),
      )
      return new GatewaySlot(slotName(index), settings, { store: store!, hint: hint!, issuer: issuer! })
    }),
  )
}
