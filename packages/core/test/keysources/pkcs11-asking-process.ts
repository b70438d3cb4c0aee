/** A gateway in small: asks the device that its argument describes, and says so. Killed by the test that starts it, in the middle of a question. */
import { Secret } from '../../src/kernel/index.ts'
import { openPkcs11Device, pkcs11Key, startDeviceProcess } from '../../src/keysources/index.ts'

const { module, label, pin, key, environment } = JSON.parse(process.argv[2]!) as {
  module: string
  label: string
  pin: string
  key: string
  environment: Record<string, string>
}
const place = { purpose: 'p', org: 'o', table: 't', column: 'c', record: 'r', seq: 1n }
let asking = false
const device = openPkcs11Device({
  module,
  token: { by: 'label', value: label },
  pin: new Secret(pin),
  environment,
  answerMs: 60_000,
  limits: { deadlineMs: 60_000 },
  start(given) {
    const started = startDeviceProcess(given)
    process.send!({ device: started.pid })
    return {
      ...started,
      ask(question) {
        const answer = started.ask(question)
        if (asking) process.send!({ asking })
        return answer
      },
    }
  },
})
const wrapped = await pkcs11Key(device, key).wrap(Buffer.alloc(32, 1), place)
process.send!({ wrapped: wrapped.toString('hex') })
process.on('message', () => {
  asking = true
  void pkcs11Key(device, key).unwrap(wrapped, place)
})
