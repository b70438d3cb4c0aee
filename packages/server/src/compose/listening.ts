/** Owns the ports a gateway listens on: asked for first, then taken. Refuses a taken one with what to do about it. */
import { createServer } from 'node:net'
import type { Config } from '../config.ts'
import { HomeError } from '../home/index.ts'
import type { HttpServer } from '../http/index.ts'

/** Asked before anything is started, so that the commonest mistake costs nothing. */
export async function requireFreePort({ port, host }: Config): Promise<void> {
  const probe = createServer()
  await new Promise<void>((resolve, reject) => {
    probe.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, port, host)))
    probe.listen(port, host, () => probe.close(() => resolve()))
  })
}

export async function listen(http: HttpServer, { port, host }: Config): Promise<void> {
  await http.listen(port, host).catch((error: unknown) => {
    throw listenError(error as NodeJS.ErrnoException, port, host)
  })
}

/** @param variables what the names of its variables begin with */
export function listenError(error: NodeJS.ErrnoException, port: number, host: string, variables = 'SALLYPORT'): HomeError {
  if (error.code === 'EADDRINUSE') {
    return new HomeError(
      'port_in_use',
      `Port ${port} on ${host} is in use. Stop what listens there, or choose another with ${variables}_PORT.`,
      { cause: error },
    )
  }
  return new HomeError(
    'listen_refused',
    `Can't listen on ${host} port ${port} (${error.code ?? error.name}). Choose another with ${variables}_HOST and ${variables}_PORT.`,
    {
      cause: error,
    },
  )
}
