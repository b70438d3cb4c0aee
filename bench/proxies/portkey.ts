/**
 * Portkey's gateway as its package starts it, without its console, on the port of `BENCH_PORT`. Says when it listens. Changes one thing: it writes into the headers of
 * streamed answers that it fetched, which this Node and the server beneath it refuse, so what it fetches has headers that can be written. That costs a few
 * microseconds of the hundreds that a call takes it.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const port = Number(process.env['BENCH_PORT'])
process.argv.push(`--port=${port}`, '--headless')
process.on('disconnect', () => process.exit(0))

async function listens(): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

const fetched = globalThis.fetch
const Answer = globalThis.Response
globalThis.fetch = async (...asked) => {
  const answer = await fetched(...asked)
  return new Answer(answer.body, answer)
}

const name = '@portkey-ai/gateway/build/start-server.js'
await import(name)
while (!(await listens())) await delay(50)
process.send?.({ type: 'ready', port })
