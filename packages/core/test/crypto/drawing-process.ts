/** Owns one process, or one thread of it, that draws what must never repeat, and tells all of it at once. */
import { parentPort } from 'node:worker_threads'
import { generateKeyBytes, newId, randomToken, seal, sealingKey, Secret } from '../../src/index.ts'

const DRAWS = 500
const key = sealingKey('k', generateKeyBytes())
const place = { purpose: 'p', org: '', table: 't', column: 'c', record: 'r', seq: 0n }
const secret = new Secret('x')
const drawn = Array.from({ length: DRAWS }, () => {
  const envelope = seal(key, place, secret)
  // Behind magic, version, the length of the key's id and its one character: salt and nonce.
  return [newId('conn', 0), randomToken(16), envelope.subarray(6, 30).toString('hex'), envelope.subarray(30, 42).toString('hex')]
}).flat()
if (parentPort === null) process.send!(drawn)
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread's port, no window
else parentPort.postMessage(drawn)
