/**
 * Owns reading XML 1.0 as far as feeds need it: elements, attributes, text, CDATA. Refuses document types whole, and with them every entity that
 * is not one of XML's own five: no expansion, no fetching, no file. Refuses documents that are not well formed, too deep or too large.
 * Works in one pass, in time that grows with the text.
 */
import { ConnectorError } from './errors.ts'

export interface XmlElement {
  /** As written, prefix included. */
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: readonly XmlElement[]
  /** The element's own text, not that of its children. */
  readonly text: string
}

const MAX_DEPTH = 64
const MAX_ELEMENTS = 200_000
const MAX_ATTRIBUTES = 64

const NAME = /[A-Za-z_][\w.:-]{0,127}/y
const ATTRIBUTE = /\s+([A-Za-z_][\w.:-]{0,127})\s*=\s*(?:"([^"<]*)"|'([^'<]*)')/y
const TAG_END = /\s*(\/?)>/y
const REFERENCE = /&(?:#(\d{1,7})|#x([\dA-Fa-f]{1,6})|(\w{1,16}));|&/gu
const OWN_ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

interface Open {
  readonly name: string
  readonly attributes: Record<string, string>
  readonly children: XmlElement[]
  readonly parts: string[]
}

/** The root element. @throws ConnectorError `collection_unreadable`; nothing of the text is in it. */
export function parseXml(text: string): XmlElement {
  const open: Open[] = []
  let root: XmlElement | undefined
  let elements = 0
  let here = text.startsWith('\uFEFF') ? 1 : 0
  while (here < text.length) {
    const tag = text.indexOf('<', here)
    const stretch = text.slice(here, tag < 0 ? text.length : tag)
    if (open.length > 0) open.at(-1)!.parts.push(resolved(stretch))
    else if (/\S/u.test(stretch)) throw unreadable('text outside the root')
    if (tag < 0) break
    if (text.startsWith('<!--', tag)) here = past(text, '-->', tag + 4)
    else if (text.startsWith('<?', tag)) here = past(text, '?>', tag + 2)
    else if (text.startsWith('<![CDATA[', tag)) {
      here = past(text, ']]>', tag + 9)
      if (open.length === 0) throw unreadable('text outside the root')
      open.at(-1)!.parts.push(text.slice(tag + 9, here - 3))
    } else if (text.startsWith('<!', tag)) throw unreadable('a document type is refused')
    else if (text.startsWith('</', tag)) {
      const { name, end } = closing(text, tag)
      const done = open.pop()
      if (done?.name !== name) throw unreadable('an element is closed that is not open')
      root = closed(done, open, root)
      here = end
    } else {
      if (++elements > MAX_ELEMENTS || open.length >= MAX_DEPTH) throw unreadable('too many elements, or too deep')
      const { element, empty, end } = opening(text, tag)
      if (empty) root = closed(element, open, root)
      else open.push(element)
      here = end
    }
  }
  if (root === undefined || open.length > 0) throw unreadable('it ends too early')
  return root
}

function closed({ name, attributes, children, parts }: Open, open: readonly Open[], root: XmlElement | undefined): XmlElement | undefined {
  const element = { name, attributes, children, text: parts.join('') }
  const parent = open.at(-1)
  if (parent !== undefined) parent.children.push(element)
  else if (root !== undefined) throw unreadable('it has two roots')
  return parent === undefined ? element : root
}

function opening(text: string, tag: number): { element: Open; empty: boolean; end: number } {
  const name = nameAt(text, tag + 1)
  const attributes = Object.create(null) as Record<string, string>
  let here = tag + 1 + name.length
  for (let count = 0; ; count++) {
    ATTRIBUTE.lastIndex = here
    const found = ATTRIBUTE.exec(text)
    if (found === null) break
    const key = found[1]!
    if (key in attributes || count >= MAX_ATTRIBUTES) throw unreadable('an attribute is repeated, or there are too many')
    attributes[key] = resolved(found[2] ?? found[3] ?? '')
    here = ATTRIBUTE.lastIndex
  }
  TAG_END.lastIndex = here
  const end = TAG_END.exec(text)
  if (end === null) throw unreadable('a tag is malformed')
  return { element: { name, attributes, children: [], parts: [] }, empty: end[1] === '/', end: TAG_END.lastIndex }
}

function closing(text: string, tag: number): { name: string; end: number } {
  const name = nameAt(text, tag + 2)
  TAG_END.lastIndex = tag + 2 + name.length
  const end = TAG_END.exec(text)
  if (end === null || end[1] === '/') throw unreadable('a tag is malformed')
  return { name, end: TAG_END.lastIndex }
}

function nameAt(text: string, at: number): string {
  NAME.lastIndex = at
  const found = NAME.exec(text)
  if (found === null) throw unreadable('a tag has no name')
  return found[0]
}

function past(text: string, mark: string, from: number): number {
  const found = text.indexOf(mark, from)
  if (found < 0) throw unreadable('it ends too early')
  return found + mark.length
}

/** Each reference becomes one character: the result is never longer than the text. */
function resolved(text: string): string {
  if (!text.includes('&')) return text
  return text.replace(REFERENCE, (_all, decimal?: string, hex?: string, name?: string) => {
    if (name !== undefined && Object.hasOwn(OWN_ENTITIES, name)) return OWN_ENTITIES[name]!
    const point = decimal === undefined ? Number.parseInt(hex ?? '', 16) : Number(decimal)
    if (!isCharacter(point)) throw unreadable('a reference is unknown')
    return String.fromCodePoint(point)
  })
}

/** XML 1.0 section 2.2. False for NaN. */
function isCharacter(point: number): boolean {
  return point === 9 || point === 10 || point === 13 || (point >= 32 && point <= 0xd7ff) || (point >= 0xe000 && point <= 0x10ffff)
}

function unreadable(why: string): ConnectorError {
  return new ConnectorError('collection_unreadable', `the feed is no XML that is read: ${why}`)
}
