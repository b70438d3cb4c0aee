/**
 * The program that a gateway runs beside itself to hold a PKCS#11 module: asked over descriptor 3, one question at a time. Owns the module's life.
 * Refuses to outlive its gateway: when the channel closes it ends at once, whatever the module is doing.
 *
 * A process of its own, because a module is foreign code: what it overwrites, leaks or waits for in here, it doesn't in the gateway.
 */
import { Socket } from 'node:net'
import { CryptoError, KeySourceError } from '../../crypto/index.ts'
import { frameOf, FrameReader } from './frames.ts'
import type { Frame } from './frames.ts'
import { Pkcs11Module } from './module.ts'
import { PinRefused, Token } from './token.ts'
import type { TokenName } from './token.ts'

const channel = new Socket({ fd: 3, readable: true, writable: true })
const reader = new FrameReader()
let token: Token | undefined

channel.on('data', (chunk) => {
  for (const question of reader.read(chunk)) void answered(question)
})
channel.on('close', end)
channel.on('error', end)

/** SIGKILL: an exit would wait for the thread that the module may never give back. */
function end(): void {
  process.kill(process.pid, 'SIGKILL')
}

async function answered(question: Frame): Promise<void> {
  const answer = await answerTo(question)
  for (const part of question.parts) part.fill(0)
  channel.write(answer, () => {
    answer.fill(0)
    if (question.kind === 'close') end()
  })
}

async function answerTo(question: Frame): Promise<Buffer> {
  try {
    const bytes = await act(question)
    const answer = frameOf('done', ...(bytes === undefined ? [] : [bytes]))
    bytes?.fill(0)
    return answer
  } catch (error) {
    if (error instanceof PinRefused) return frameOf('pin_refused', Buffer.from(error.message))
    if (error instanceof CryptoError) return frameOf('decrypt_failed')
    if (!(error instanceof KeySourceError)) throw error
    return frameOf(error.code === 'key_source_refused' ? 'refused' : 'unavailable', Buffer.from(error.message))
  }
}

async function act({ kind, parts }: Frame): Promise<Buffer | undefined> {
  const [first, second, third, fourth] = parts
  if (kind === 'open') {
    const name = { by: text(second), value: text(third) } as TokenName
    token = await Token.open(await Pkcs11Module.load(text(first)), name, fourth!)
    return undefined
  }
  if (token === undefined) throw new KeySourceError('key_source_unavailable', 'no token is open')
  if (kind === 'encrypt') return token.encrypt(text(first), second!, third!)
  if (kind === 'decrypt') return token.decrypt(text(first), second!, third!)
  await token.close()
  return undefined
}

function text(part: Buffer | undefined): string {
  return part!.toString('utf8')
}
