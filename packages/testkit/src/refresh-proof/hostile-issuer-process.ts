/**
 * Owns the hostile issuer as a process of its own, so that a busy proof does not slow its answers: the child serves the issuer and a control
 * port, the parent drives it through the same interface. Run as a program it is the child; its one argument is the seed.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { closeServer, startHostileIssuer } from './hostile-issuer.ts'
import type { IssuerControl } from './hostile-issuer.ts'

interface Ready {
  readonly origin: string
  readonly control: string
}

/** Starts the child. It ends with its parent. */
export async function startIssuerProcess(seed: string): Promise<IssuerControl> {
  const child = fork(import.meta.filename, [seed], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const ended = once(child, 'exit')
  const ready = await Promise.race([
    once(child, 'message').then(([message]) => message as Ready),
    ended.then(([code]) => Promise.reject(new Error(`the hostile issuer ended with ${code} while starting`))),
  ])
  const ask = async <T>(method: string, ...args: readonly unknown[]): Promise<T> => {
    const response = await fetch(ready.control, { method: 'POST', body: JSON.stringify({ method, args }) })
    if (!response.ok) throw new Error(`the hostile issuer refuses ${method}: ${await response.text()}`)
    return ((await response.json()) as { result: T }).result
  }
  return {
    origin: ready.origin,
    setClient: (client, settings) => ask('setClient', client, settings),
    grant: (client) => ask('grant', client),
    next: (client, faults) => ask('next', client, faults),
    revoke: (grant) => ask('revoke', grant),
    journal: (since = 0) => ask('journal', since),
    close: async () => {
      child.kill('SIGKILL')
      await ended
    },
  }
}

async function serve(seed: string): Promise<void> {
  const issuer = await startHostileIssuer(seed)
  const commands: Readonly<Record<string, (...args: never[]) => Promise<unknown>>> = {
    setClient: issuer.setClient,
    grant: issuer.grant,
    next: issuer.next,
    revoke: issuer.revoke,
    journal: issuer.journal,
  }
  const control = createServer((request, response) => {
    run(request).then(
      (result) => response.end(JSON.stringify({ result: result ?? null })),
      (error: unknown) => response.writeHead(400).end(String(error)),
    )
  })
  const run = async (request: IncomingMessage): Promise<unknown> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { method, args } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { method: string; args: never[] }
    const command = Object.hasOwn(commands, method) ? commands[method] : undefined
    if (command === undefined) throw new Error('no such command')
    return await command(...args)
  }
  control.listen(0, '127.0.0.1')
  await once(control, 'listening')
  process.send!({ origin: issuer.origin, control: `http://127.0.0.1:${(control.address() as AddressInfo).port}` } satisfies Ready)
  // Ctrl-C in a terminal reaches the whole group; when the proof ends is the parent's to say.
  process.on('SIGINT', () => undefined)
  process.once('disconnect', () => void Promise.all([issuer.close(), closeServer(control)]))
}

if (process.argv[1] === import.meta.filename) await serve(process.argv[2] ?? 'calm')
