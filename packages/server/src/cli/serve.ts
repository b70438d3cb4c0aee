/** `sallyport serve`: starts the gateway, says that it is ready, and drains it on a signal. Refuses to end before what was promised is saved. */
import { startGateway } from '../compose/index.ts'
import type { CommandContext } from './command.ts'
import { EXIT } from './explain.ts'

/** `disconnect`: the parent that was told `ready` is gone. */
type Ending = 'SIGINT' | 'SIGTERM' | 'disconnect'
const ENDINGS: readonly Ending[] = ['SIGINT', 'SIGTERM', 'disconnect']

/** What a parent process with a channel is told once the gateway listens (scripts/start.ts is one). */
export interface ReadyMessage {
  readonly type: 'ready'
  readonly url: string
  readonly ownerLink: string | null
  /** A second one-time owner token, for the parent itself. Development only. */
  readonly starterToken: string | null
}

export async function serveCommand({ config, print }: CommandContext): Promise<number> {
  const gateway = await startGateway(config)
  const link = await gateway.ownerLink()
  if (process.send === undefined || !process.connected) {
    print(`Sallyport listens on ${gateway.url}`)
    if (link !== undefined) print(`Console, for its owner, once: ${link.href}`)
  } else {
    const starter = await gateway.ownerLink()
    process.send({
      type: 'ready',
      url: gateway.url,
      ownerLink: link?.href ?? null,
      starterToken: starter?.token.reveal() ?? null,
    } satisfies ReadyMessage)
  }
  const ended = await Promise.race([asked(), gateway.failed])
  // A second signal means now: what is open is cut, as the operating system would.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(EXIT.fault))
  await gateway.stop()
  if (process.connected) process.disconnect()
  if (ended instanceof Error) throw ended
  return EXIT.done
}

/** Resolves when somebody wants the gateway to end. */
function asked(): Promise<Ending> {
  return new Promise((resolve) => {
    for (const ending of ENDINGS) process.once(ending, () => resolve(ending))
  })
}
