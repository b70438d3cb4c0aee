/** Owns reading `data:` URLs (RFC 2397) as OpenAI's API takes them: always base64. Refuses no other URL; it says that it is none. */

/** What a `data:` URL holds, still in base64. */
export interface Inline {
  readonly mediaType: string
  readonly base64: string
}

/** The longest head that is looked at; what follows may be megabytes. */
const HEAD = 256
const FORM = /^data:(?<type>[a-z0-9.+-]+\/[a-z0-9.+-]+)(?:;[^;,]+)*;base64,/iu

/** Undefined for anything but a `data:` URL in base64 with a media type. */
export function inline(url: string): Inline | undefined {
  const head = FORM.exec(url.slice(0, HEAD))
  if (head === null) return undefined
  return { mediaType: head.groups!['type']!.toLowerCase(), base64: url.slice(head[0].length) }
}

/** Whether this is an address that a provider could fetch itself. */
export function isWeb(url: string): boolean {
  return /^https?:\/\//iu.test(url)
}
