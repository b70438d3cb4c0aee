/**
 * Owns the way from the configuration to root keys: the source that they are read from, the services that hold others, and the doors that lead
 * there and nowhere else. Refuses to start without the source or with root keys that it can't use; whether they are the right ones is the vault's
 * to prove.
 */
import {
  awsKmsKey,
  createAwsClient,
  createEgress,
  createHashicorpClient,
  CryptoError,
  DEFAULT_EGRESS_POLICY,
  folderSource,
  joinRootKeys,
  KeySourceError,
  kvSource,
  openPkcs11Device,
  parseKmsKeyArn,
  parseSecretArn,
  pkcs11Key,
  RootKeyring,
  rootKeysOf,
  secretsManagerSource,
  transitKey,
} from '@sallyport/core'
import type {
  AwsArn,
  AwsClient,
  Egress,
  HashicorpClient,
  KeyWrapper,
  Logger,
  Pkcs11Device,
  RootKeys,
  RootKeySource,
  Secret,
  StateListener,
  Watch,
} from '@sallyport/core'
import { environmentOfOthers } from '../config.ts'
import type { Config } from '../config.ts'
import { HomeError } from './home-error.ts'
import { configuredRootKeys } from './root-keys.ts'

export interface OpenRootKeys {
  readonly keys: RootKeys
  /**
   * Reads the source again and again; `use` takes what changed, or rejects and changes nothing. Without a source there is nothing to watch.
   * Ends with `close`.
   */
  watch(use: (keys: RootKeys) => Promise<void>): void
  /**
   * Reads the source now, for somebody who needs a root key that isn't in use: another node may know it already. `use` was called before this
   * resolves, if there was news. Not more often than every few seconds; never rejects. Without a source, or before `watch`, there is nothing to do.
   */
  reread(): Promise<void>
  close(): Promise<void>
}

type Keys = Config['keys']
type Door = Pick<Egress, 'fetch' | 'close'>

const CONNECT_TIMEOUT_MS = 2_000
const ANSWER_TIMEOUT_MS = 4_000
/** Bounds what a slow service can pile up. */
const MAX_CONNECTIONS = 16
/** A root key that is nowhere is asked for by every call under it. */
const LOOK_AGAIN_MS = 5_000

/**
 * @param fresh whether the database was made just now, so that nothing can have been sealed yet
 * @throws HomeError | KeySourceError | CryptoError `key_invalid`; nothing is left open then
 */
export async function openRootKeys(config: Config, fresh: boolean, logger: Logger): Promise<OpenRootKeys> {
  const holders = new Holders(config, logger)
  const watches: Watch[] = []
  let lookedAt = Number.NEGATIVE_INFINITY
  let looking: Promise<void> | undefined
  try {
    const source = holders.source()
    const held = source === undefined ? await configuredRootKeys(config, fresh) : ringOf(source, await source.load())
    const services = [
      ['aws-kms', holders.kmsKeys()] as const,
      ['vault-transit', holders.transitKeys()] as const,
      ['pkcs11', holders.pkcs11Keys()] as const,
    ]
    const together = (local: RootKeyring | undefined): RootKeys => ordered(config.keys.wrapper, new Map([['local', local], ...services]))
    return {
      keys: together(held),
      watch(use) {
        if (source !== undefined) watches.push(watchSource(source, (ring) => use(together(ring)), logger))
      },
      reread() {
        if (looking === undefined && performance.now() - lookedAt >= LOOK_AGAIN_MS) {
          lookedAt = performance.now()
          looking = Promise.all(watches.map((watch) => watch.look())).then(() => void (looking = undefined))
        }
        return looking ?? Promise.resolve()
      },
      async close() {
        for (const watch of watches.splice(0)) watch.stop()
        await holders.close()
      },
    }
  } catch (error) {
    await holders.close()
    throw error
  }
}

class Holders {
  readonly #keys: Keys
  readonly #localAddress: string | undefined
  readonly #logger: Logger
  readonly #doors: Door[] = []
  readonly #awsClients = new Map<string, AwsClient>()
  #hashicorp: HashicorpClient | undefined
  #device: Pkcs11Device | undefined

  constructor({ keys, egress }: Pick<Config, 'keys' | 'egress'>, logger: Logger) {
    this.#keys = keys
    this.#localAddress = egress.localAddress
    this.#logger = logger
  }

  /** Undefined for the configuration itself, which is read once. */
  source(): RootKeySource | undefined {
    const { source, reloadMs, awsSecret, vaultKvMount, vaultKvPath } = this.#keys
    if (source.startsWith('folder:')) return folderSource(source.slice('folder:'.length), reloadMs)
    if (source === 'aws-secrets-manager') {
      const secret = parseSecretArn(needed(awsSecret))!
      return secretsManagerSource(this.#aws('secretsmanager', secret), secret, reloadMs)
    }
    if (source === 'vault-kv') return kvSource(this.#vault(), { mount: vaultKvMount, path: needed(vaultKvPath) }, reloadMs)
    return undefined
  }

  kmsKeys(): RootKeys | undefined {
    return setOf(
      this.#keys.awsKmsKeys.map((text) => {
        const key = parseKmsKeyArn(text)!
        return awsKmsKey(this.#aws('kms', key), key)
      }),
    )
  }

  transitKeys(): RootKeys | undefined {
    const { vaultTransitKeys, vaultTransitMount: mount } = this.#keys
    return setOf(vaultTransitKeys.map((name) => transitKey(this.#vault(), { mount, name })))
  }

  pkcs11Keys(): RootKeys | undefined {
    return setOf(this.#keys.pkcs11Keys.map((name) => pkcs11Key(this.#token(), name)))
  }

  async close(): Promise<void> {
    await this.#device?.close()
    for (const door of this.#doors.splice(0)) await door.close()
  }

  /** One client for a service in a region: what it learned of the service's state holds for all its keys. */
  #aws(service: 'kms' | 'secretsmanager', { region, domain }: AwsArn): AwsClient {
    const known = this.#awsClients.get(`${service} ${region}`)
    if (known !== undefined) return known
    const { awsAccessKeyId, awsSecretAccessKey, awsSessionToken, awsKmsEndpoint, awsSecretsManagerEndpoint } = this.#keys
    const named = service === 'kms' ? awsKmsEndpoint : awsSecretsManagerEndpoint
    const client = createAwsClient({
      egress: this.#door(named),
      service,
      region,
      endpoint: named ?? `https://${service}.${region}.${domain}`,
      credentials: {
        accessKeyId: needed(awsAccessKeyId),
        secretAccessKey: needed(awsSecretAccessKey),
        sessionToken: awsSessionToken,
      },
      onState: this.#telling({ service, region }),
    })
    this.#awsClients.set(`${service} ${region}`, client)
    return client
  }

  #vault(): HashicorpClient {
    const { vaultAddress, vaultCaCertificates, vaultNamespace, vaultToken, vaultRoleId, vaultSecretId } = this.#keys
    const address = needed(vaultAddress)
    this.#hashicorp ??= createHashicorpClient({
      egress: this.#door(address, vaultCaCertificates),
      address,
      auth: vaultToken === undefined ? { roleId: needed(vaultRoleId), secretId: needed(vaultSecretId) } : { token: vaultToken },
      namespace: vaultNamespace,
      onState: this.#telling({ service: 'vault' }),
    })
    return this.#hashicorp
  }

  #token(): Pkcs11Device {
    const { pkcs11Module, pkcs11TokenLabel, pkcs11TokenSerial, pkcs11Pin } = this.#keys
    this.#device ??= openPkcs11Device({
      module: needed(pkcs11Module),
      token: pkcs11TokenLabel === undefined ? { by: 'serial', value: needed(pkcs11TokenSerial) } : { by: 'label', value: pkcs11TokenLabel },
      pin: needed(pkcs11Pin),
      environment: environmentOfOthers(),
      onState: this.#telling({ service: 'pkcs11' }),
    })
    return this.#device
  }

  /** Calls that are refused meanwhile are too many to tell of each. */
  #telling(of: { readonly service: string; readonly region?: string }): StateListener {
    return (state, error) => {
      if (state === 'answers') this.#logger.info('The key service answers again', { ...of })
      else this.#logger.warn('The key service gives no keys; data keys in memory last their time', { ...of, state, error })
    }
  }

  /**
   * A door of its own, which no tenant's call ever goes through. An origin that the operator named may be internal, and is still proven by its
   * certificate when it is https; without one, only public addresses are reached.
   */
  #door(named: string | undefined, ca?: Secret): Door {
    const door = createEgress({
      ...DEFAULT_EGRESS_POLICY,
      localAddress: this.#localAddress,
      insecureAllowOrigins: named === undefined ? [] : [named],
      ...(ca === undefined ? {} : { caCertificates: [ca.reveal()] }),
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      headersTimeoutMs: ANSWER_TIMEOUT_MS,
      idleTimeoutMs: ANSWER_TIMEOUT_MS,
      totalTimeoutMs: ANSWER_TIMEOUT_MS,
      maxConnectionsPerOrigin: MAX_CONNECTIONS,
    })
    this.#doors.push(door)
    return door
  }
}

function ordered(first: Keys['wrapper'], sets: ReadonlyMap<Keys['wrapper'], RootKeys | undefined>): RootKeys {
  const primary = sets.get(first)
  if (primary === undefined) throw new HomeError('root_keys_absent', `keys.wrapper is ${first}, and there are no such root keys`)
  return joinRootKeys(primary, ...[...sets.values()].flatMap((keys) => (keys === undefined || keys === primary ? [] : [keys])))
}

function setOf([first, ...others]: readonly KeyWrapper[]): RootKeys | undefined {
  return first === undefined ? undefined : rootKeysOf(first, ...others)
}

/** Faults name positions, never what stood there. */
function ringOf(source: RootKeySource, text: Secret): RootKeyring {
  try {
    return RootKeyring.parse(text)
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error
    throw new KeySourceError('key_source_refused', `${source.name} holds no usable root keys: ${error.faults.join('; ')}`)
  }
}

function watchSource(source: RootKeySource, use: (ring: RootKeyring) => Promise<void>, logger: Logger): Watch {
  return source.watch({
    async changed(text) {
      const ring = ringOf(source, text)
      await use(ring)
      logger.info('Took changed root keys', { source: source.name, rootKeys: ring.ids })
    },
    failed: (error) => logger.warn('Root keys could not be read again; those in use stay', { source: source.name, error }),
  })
}

/** The configuration was judged: what a source or a service needs is there. */
function needed<T>(setting: T | undefined): T {
  if (setting === undefined) throw new TypeError('a setting that was judged to be there is not')
  return setting
}
