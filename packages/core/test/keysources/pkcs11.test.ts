import { fork, execFileSync } from 'node:child_process'
import { createDecipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, copyFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findInMemory, startSoftHsm } from '../../../testkit/src/softhsm/index.ts'
import type { SoftHsm } from '../../../testkit/src/softhsm/index.ts'
import { keyWrapperSuite } from '../../../testkit/src/suites/index.ts'
import { parseWrapped, placeFrame } from '../../src/crypto/index.ts'
import { ManualClock, Secret } from '../../src/kernel/index.ts'
import { isPkcs11KeyName, openPkcs11Device, pkcs11Key, startDeviceProcess } from '../../src/keysources/index.ts'
import type { DeviceProcess, Pkcs11Device, Pkcs11Options } from '../../src/keysources/index.ts'

const PLACE = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }
/** A process is started within it, also on a machine that has other things to do. */
const PATIENT = { deadlineMs: 8_000, firstPauseMs: 5, longestPauseMs: 20, firstRestMs: 500, longestRestMs: 500 }

interface Watched {
  readonly device: Pkcs11Device
  /** Of the processes that were started, in order. */
  readonly pids: number[]
  /** Questions that were put to any of them. */
  asked: number
}

function watched(hsm: SoftHsm, otherwise: Partial<Pkcs11Options> = {}): Watched {
  const pids: number[] = []
  const seen = { asked: 0 }
  const { start = startDeviceProcess } = otherwise
  const device = openPkcs11Device({
    module: hsm.module,
    token: { by: 'label', value: hsm.label },
    pin: new Secret(hsm.pin),
    environment: hsm.environment,
    limits: PATIENT,
    answerMs: 3_000,
    ...otherwise,
    start(environment): DeviceProcess {
      const started = start(environment)
      pids.push(started.pid!)
      return {
        ...started,
        ask(question) {
          seen.asked += 1
          return started.ask(question)
        },
      }
    },
  })
  return {
    device,
    pids,
    get asked() {
      return seen.asked
    },
  }
}

const signalTo = ({ pids }: Watched, signal: NodeJS.Signals): void => void process.kill(pids.at(-1)!, signal)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

keyWrapperSuite(
  'of a PKCS#11 token',
  async () => {
    const hsm = await startSoftHsm()
    await hsm.makeKey('one')
    await hsm.makeKey('two')
    const seen = watched(hsm)
    const wrapper = pkcs11Key(seen.device, 'one')
    await wrapper.wrap(Buffer.alloc(32, 1), PLACE)
    return {
      wrapper,
      other: pkcs11Key(seen.device, 'two'),
      asked: () => seen.asked,
      failures: {
        'the token is removed': { fail: () => hsm.remove(), heal: () => hsm.putBack() },
        'the module hangs': { fail: () => hsm.hang(), heal: () => hsm.unhang() },
      },
      hiccups: {
        'its process is killed': () => signalTo(seen, 'SIGKILL'),
        'its process stands still': () => signalTo(seen, 'SIGSTOP'),
      },
      refusals: { 'the key is deleted': () => hsm.hideKeys() },
      close: async () => {
        await seen.device.close()
        expect(seen.pids.filter(isAlive)).toEqual([])
        await hsm.close()
      },
    }
  },
  {
    failures: ['the token is removed', 'the module hangs'],
    hiccups: ['its process is killed', 'its process stands still'],
    refusals: ['the key is deleted'],
    careless: false,
  },
)

describe('a PKCS#11 token', () => {
  let hsm: SoftHsm
  let folder: string
  const opened: Watched[] = []
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-pkcs11-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))
  beforeEach(async () => {
    hsm = await startSoftHsm()
    await hsm.makeKey('root')
  })
  afterEach(async () => {
    for (const { device } of opened.splice(0)) await device.close()
    await hsm.close()
  })

  const open = (otherwise: Partial<Pkcs11Options> = {}): Watched => {
    const seen = watched(hsm, otherwise)
    opened.push(seen)
    return seen
  }
  const wrapBy = (seen: Watched, key = 'root'): Promise<Buffer> => pkcs11Key(seen.device, key).wrap(Buffer.alloc(32, 5), PLACE)
  const refused = (message: string) => ({ code: 'key_source_refused', message: expect.stringContaining(message) as string })

  it('wraps with AES-256-GCM, a fresh 96-bit nonce, a 128-bit tag and the place as associated data, as another implementation finds', async () => {
    const bytes = randomBytes(16).toString('hex')
    await hsm.importKey('known', bytes)
    const key = pkcs11Key(open().device, 'known')
    const { ciphertext } = parseWrapped(await key.wrap(Buffer.alloc(32, 5), PLACE))
    expect([ciphertext[0], ciphertext.length]).toEqual([1, 1 + 12 + 64 + 16])
    const decipher = createDecipheriv('aes-256-gcm', bytes, ciphertext.subarray(1, 13), { authTagLength: 16 })
    decipher.setAAD(placeFrame(PLACE, key.id))
    decipher.setAuthTag(ciphertext.subarray(-16))
    const plaintext = Buffer.concat([decipher.update(ciphertext.subarray(13, -16)), decipher.final()])
    // The digest of the place stands before the key.
    expect(plaintext.subarray(32)).toEqual(Buffer.alloc(32, 5))
  })

  it('is found by its serial number, and its keys by their ids', async () => {
    await hsm.makeKey('by-id', { id: 'c0ffee' })
    const seen = open({ token: { by: 'serial', value: hsm.serial } })
    const wrapped = await wrapBy(seen, 'id:c0ffee')
    expect(parseWrapped(wrapped).keyId).toBe('pkcs11-id.c0ffee')
    expect(await pkcs11Key(seen.device, 'id:c0ffee').unwrap(wrapped, PLACE)).toEqual(Buffer.alloc(32, 5))
  })

  it.each([
    ['that it would give out', { extractable: true }, 'would give out the key wrong'],
    ['that it would show', { sensitive: false }, 'would give out the key wrong'],
    ['of 128 bits', { bytes: 16 }, 'no AES-256 key'],
    ['that may not decrypt', { decrypt: false }, 'no AES-256 key'],
  ])('wraps with no key %s', async (_, otherwise, message) => {
    await hsm.makeKey('wrong', otherwise)
    await expect(wrapBy(open(), 'wrong')).rejects.toMatchObject(refused(message))
  })

  it('wraps with no key that it has not, and with none of two that share a name', async () => {
    const seen = open()
    await expect(wrapBy(seen, 'absent')).rejects.toMatchObject(refused('no secret key absent'))
    await hsm.makeKey('root')
    await expect(wrapBy(open())).rejects.toMatchObject(refused('several secret keys root'))
    expect(['', 'a key', '../root', 'id:', 'id:abc', 'id:ABCD', `id:${'ab'.repeat(25)}`, 'é'].filter(isPkcs11KeyName)).toEqual([])
  })

  it('that is not there is waited for, not refused', async () => {
    const limits = { ...PATIENT, deadlineMs: 1_000 }
    const away = { code: 'key_source_unavailable' }
    await expect(wrapBy(open({ limits, token: { by: 'label', value: 'another' } }))).rejects.toMatchObject(away)
    await expect(wrapBy(open({ limits, token: { by: 'serial', value: '0' } }))).rejects.toMatchObject(away)
  })

  it('is told a wrong PIN once, whatever is asked afterwards, and no right one is locked out by that', async () => {
    const seen = open({ pin: new Secret(`${hsm.pin}0`) })
    await expect(wrapBy(seen)).rejects.toMatchObject(refused('PIN_INCORRECT'))
    expect([seen.pids.length, seen.asked]).toEqual([1, 1])
    for (const again of await Promise.allSettled(Array.from({ length: 20 }, () => wrapBy(seen)))) expect(again.status).toBe('rejected')
    expect([seen.pids.length, seen.asked]).toEqual([1, 1])
    await expect(wrapBy(open())).resolves.toBeDefined()
  })

  it('with one try of its PIN left is told none', async () => {
    hsm.leaveOneTry()
    await expect(wrapBy(open())).rejects.toMatchObject(refused('one try of its PIN left'))
  })

  it('is asked by its own process alone, which knows the PIN from neither its arguments nor its environment, and nothing of ours', async () => {
    const seen = open({ environment: { ...hsm.environment, FOR_THE_MODULE: 'a-value' } })
    await wrapBy(seen)
    const of = (name: string): string => readFileSync(`/proc/${seen.pids[0]}/${name}`, 'latin1')
    expect(of('maps')).toContain('libsofthsm2.so')
    expect(readFileSync('/proc/self/maps', 'latin1')).not.toContain('libsofthsm2.so')
    expect(of('environ')).toContain('FOR_THE_MODULE=a-value')
    expect(of('environ')).not.toContain('PATH=')
    expect(of('environ') + of('cmdline')).not.toContain(hsm.pin)
  })

  it('leaves neither its PIN nor a key in the memory of its process once a question is answered', async () => {
    const seen = open()
    const keys = Array.from({ length: 20 }, () => randomBytes(32))
    const root = pkcs11Key(seen.device, 'root')
    const wrapped = await Promise.all(keys.map((bytes) => root.wrap(bytes, PLACE)))
    expect(await Promise.all(wrapped.map((one) => root.unwrap(one, PLACE)))).toEqual(keys)
    const pid = seen.pids[0]!
    // What is wiped last is wiped once the answer has been sent. The variable's name is there to be found.
    const found = (): number[] => findInMemory(pid, [...keys, Buffer.from(hsm.pin), Buffer.from('SOFTHSM2_CONF')])
    await expect.poll(found, { timeout: 10_000 }).toEqual([...keys.map(() => 0), 0, expect.any(Number)])
    expect(found().at(-1)).toBeGreaterThan(0)
  })

  it('that hangs holds up neither the event loop nor the end of the gateway', async () => {
    const seen = open({ answerMs: 60_000, limits: { ...PATIENT, deadlineMs: 60_000 } })
    const wrapped = await wrapBy(seen)
    hsm.hang()
    const before = seen.asked
    const ends = expect(pkcs11Key(seen.device, 'root').unwrap(wrapped, PLACE)).rejects.toMatchObject({ code: 'key_source_unavailable' })
    await expect.poll(() => seen.asked).toBe(before + 1)
    await seen.device.close()
    expect(seen.pids.filter(isAlive)).toEqual([])
    await ends
    await expect(wrapBy(seen)).rejects.toMatchObject({ code: 'key_source_unavailable' })
  })

  it('leaves no process behind when the gateway is killed in the middle of a call that hangs', async () => {
    const told = JSON.stringify({ ...hsm, key: 'root' })
    const asking = fork(join(import.meta.dirname, 'pkcs11-asking-process.ts'), [told], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const said = async (): Promise<Record<string, unknown>> => (await once(asking, 'message'))[0] as Record<string, unknown>
    const pid = (await said())['device'] as number
    await said()
    hsm.hang()
    const next = said()
    asking.send('ask')
    await next
    asking.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })

  it('answers two gateways at once, and each opens what the other wrapped', async () => {
    const gateways = [open(), open()]
    const bytes = Array.from({ length: 60 }, () => randomBytes(32))
    const wrapped = await Promise.all(bytes.map((one, index) => pkcs11Key(gateways[index % 2]!.device, 'root').wrap(one, PLACE)))
    const unwrapped = await Promise.all(
      wrapped.map((one, index) => pkcs11Key(gateways[(index + 1) % 2]!.device, 'root').unwrap(one, PLACE)),
    )
    expect(unwrapped.every((one, index) => one.equals(bytes[index]!))).toBe(true)
    expect(new Set(wrapped.map((one) => one.toString('hex'))).size).toBe(60)
  })

  it('is looked at anew before a refusal is believed for longer than five seconds', async () => {
    const clock = new ManualClock()
    const seen = open({ clock })
    await wrapBy(seen)
    hsm.hideKeys()
    const gone = refused('no secret key root')
    await expect(wrapBy(seen)).rejects.toMatchObject(gone)
    const { length } = seen.pids
    hsm.showKeys()
    await expect(wrapBy(seen)).rejects.toMatchObject(gone)
    expect(seen.pids.length).toBe(length)
    clock.advance(5_000)
    await expect(wrapBy(seen)).rejects.toMatchObject(gone)
    await wrapBy(seen)
    expect(seen.pids.length).toBe(length + 1)
    await hsm.makeKey('later')
    await wrapBy(seen, 'later')
  })
})

describe('a PKCS#11 module', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'sallyport-module-'))
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true, maxRetries: 10 }))

  const refusalOf = async (module: string, start?: (environment: Readonly<Record<string, string | undefined>>) => DeviceProcess) => {
    const device = openPkcs11Device({
      module,
      token: { by: 'label', value: 'any' },
      pin: new Secret('0'),
      environment: {},
      ...(start === undefined ? {} : { start }),
    })
    const error: unknown = await pkcs11Key(device, 'root')
      .wrap(Buffer.alloc(32, 1), PLACE)
      .catch((caught: unknown) => caught)
    await device.close()
    expect(error).toMatchObject({ code: 'key_source_refused' })
    return String(error)
  }
  const file = (name: string, text = 'text'): string => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }

  it('is refused when it is named relatively, is absent, no file, no library, or a library that is no module', async () => {
    expect(await refusalOf('libsofthsm2.so')).toContain('absolute path')
    expect(await refusalOf(join(folder, 'absent.so'))).toContain('is not there')
    expect(await refusalOf(folder)).toContain('is no file')
    expect(await refusalOf(file('text.so'))).toContain('no PKCS#11 module')
    const koffi = execFileSync('find', [join(import.meta.dirname, '../../../../node_modules/@koromix'), '-name', '*.node'], {
      encoding: 'utf8',
    })
    expect(await refusalOf(koffi.split('\n')[0]!)).toContain('no PKCS#11 module')
  })

  it('is refused when every user of the machine could have written it, or put another in its place', async () => {
    const own = file('own.so')
    chmodSync(own, 0o666)
    expect(await refusalOf(own)).toContain('every user')
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o777)
    copyFileSync(file('other.so'), join(open, 'other.so'))
    expect(await refusalOf(join(open, 'other.so'))).toContain('every user')
  })

  it('is not called without the package that calls it, and the refusal names that', async () => {
    const src = join(import.meta.dirname, '../../src')
    for (const part of ['kernel', 'crypto', 'keysources/pkcs11']) cpSync(join(src, part), join(folder, 'src', part), { recursive: true })
    const program = join(folder, 'src/keysources/pkcs11/device-process.ts')
    expect(await refusalOf(file('any.so'), (environment) => startDeviceProcess(environment, program))).toContain(
      'koffi, which is not installed: npm install koffi',
    )
  })
})
