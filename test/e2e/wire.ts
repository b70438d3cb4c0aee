/** Owns sending requests byte for byte, where a client library would repair them first. */
import { connect } from 'node:net'

export interface RawAnswer {
  readonly status: number
  readonly head: string
  readonly body: string
}

/** Sends `text` to `url`'s host and gives what came back until the other side closed or `timeoutMs` passed in silence. */
export async function sendRaw(url: string, text: string | Buffer, timeoutMs = 5_000): Promise<RawAnswer> {
  const { hostname, port } = new URL(url)
  const socket = connect(Number(port), hostname)
  const chunks: Buffer[] = []
  await new Promise<void>((resolve) => {
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.on('close', () => resolve())
    // A reset after the answer is an end like another; what had arrived is judged.
    socket.on('error', () => undefined)
    socket.write(text)
  })
  return read(Buffer.concat(chunks).toString('latin1'))
}

/** A request whose target is written as given. */
export function rawRequest(target: string, headers: readonly string[], method = 'GET'): string {
  return [`${method} ${target} HTTP/1.1`, 'Host: gateway.test', 'Connection: close', ...headers, '', ''].join('\r\n')
}

function read(text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const head = end < 0 ? text : text.slice(0, end)
  return { status: Number(/^HTTP\/1\.1 (\d{3})/u.exec(head)?.[1] ?? 0), head, body: end < 0 ? '' : text.slice(end + 4) }
}
