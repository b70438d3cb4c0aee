/** A server in a thread of its own that answers when it is told to, while the thread that asked may stand still. Speaks by shared memory: see SLOT. */
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { workerData } from 'node:worker_threads'

/** Its port; whether a request has come; whether it is to be answered. Zero until then. */
export const SLOT = { port: 0, asked: 1, told: 2 } as const

if (workerData !== null) {
  const { shared } = workerData as { readonly shared: SharedArrayBuffer }
  const slots = new Int32Array(shared)
  const set = (slot: number, value: number): void => {
    Atomics.store(slots, slot, value)
    Atomics.notify(slots, slot)
  }
  const server = http.createServer((_request, response) => {
    set(SLOT.asked, 1)
    Atomics.wait(slots, SLOT.told, 0)
    response.end('an answer')
  })
  server.listen(0, '127.0.0.1', () => set(SLOT.port, (server.address() as AddressInfo).port))
}
