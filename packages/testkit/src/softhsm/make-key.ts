/**
 * A program that makes one AES key on a token by the module's own C_GenerateKey, as an operator's tool would: `make-key <module> <token label>
 * <PIN> <JSON of Making>`. Finds its token folder by SOFTHSM2_CONF. In a process of its own: the module reads that variable from the environment.
 */
import { ATTRIBUTE, OS_LOCKING_OK, SERIAL_SESSION, USER } from '../../../core/src/keysources/pkcs11/constants.ts'
import { Pkcs11Module, wordOf } from '../../../core/src/keysources/pkcs11/module.ts'
import type { Answer, Memory, Room } from '../../../core/src/keysources/pkcs11/module.ts'

export interface Making {
  readonly label: string
  /** Hex. */
  readonly id: string
  readonly bytes: number
  readonly sensitive: boolean
  readonly extractable: boolean
  readonly decrypt: boolean
}

const RW_SESSION = 0x02
const AES_KEY_GEN = 0x1080

const [path = '', tokenLabel = '', pin = '', text = '{}'] = process.argv.slice(2)
const making = JSON.parse(text) as Making
const module = await Pkcs11Module.load(path)

const done = (answer: Answer): void => {
  if (answer !== 'OK') throw new Error(answer)
}

await module.within(async (memory) => {
  done(await module.call('C_Initialize', memory.words(0, 0, 0, 0, OS_LOCKING_OK, 0).at))
  const session = memory.words(0)
  done(await module.call('C_OpenSession', await slotOf(memory), SERIAL_SESSION | RW_SESSION, 0, 0, session.at))
  done(await module.call('C_Login', wordOf(session), USER, memory.put(Buffer.from(pin)).at, pin.length))
  const template = templateOf(memory)
  const mechanism = memory.words(AES_KEY_GEN, 0, 0)
  done(await module.call('C_GenerateKey', wordOf(session), mechanism.at, template.at, template.bytes.length / 24, memory.words(0).at))
})
done(await module.call('C_Finalize', 0))

async function slotOf(memory: Memory): Promise<bigint> {
  const ids = memory.room(64 * 8)
  const count = memory.words(64)
  done(await module.call('C_GetSlotList', 1, ids.at, count.at))
  for (let index = 0; index < Number(wordOf(count)); index += 1) {
    const info = memory.room(208)
    done(await module.call('C_GetTokenInfo', wordOf(ids, index), info.at))
    if (info.bytes.toString('utf8', 0, 32).trimEnd() === tokenLabel) return wordOf(ids, index)
  }
  throw new Error('no such token')
}

function templateOf(memory: Memory): Room {
  const flag = (on: boolean): Buffer => Buffer.from([on ? 1 : 0])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(making.bytes))
  const attributes: [number, Buffer][] = [
    [ATTRIBUTE.token, flag(true)],
    [ATTRIBUTE.private, flag(true)],
    [ATTRIBUTE.label, Buffer.from(making.label)],
    [ATTRIBUTE.id, Buffer.from(making.id, 'hex')],
    [ATTRIBUTE.valueLength, length],
    [ATTRIBUTE.sensitive, flag(making.sensitive)],
    [ATTRIBUTE.extractable, flag(making.extractable)],
    [ATTRIBUTE.encrypt, flag(true)],
    [ATTRIBUTE.decrypt, flag(making.decrypt)],
  ]
  return memory.words(...attributes.flatMap(([kind, value]) => [kind, memory.put(value).at, value.length]))
}
