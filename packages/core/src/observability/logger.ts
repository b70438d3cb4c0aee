/**
 * Owns the one logger. Refuses to print what a type says is not for printing, and to let a value end the line it stands in.
 */
import { systemClock } from '../kernel/index.ts'
import type { Clock } from '../kernel/index.ts'
import { loggable } from './loggable.ts'
import type { Loggable } from './loggable.ts'
import { writeLine } from './output.ts'

/** Facts beside the message. Any value may stand here: what it becomes is decided by its type (see `loggable`). */
export interface LogFields {
  readonly [name: string]: unknown
}

/** Messages are constant sentences; what varies goes into fields. No method throws for what it is given, or changes it. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
  /** A logger that adds these fields to every record. They are copied now: later changes to them are not seen. */
  child(fields: LogFields): Logger
}

/** From the most to the least said. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

/** How records are written, and what each of them has beside its own fields. */
export interface LoggerOptions {
  /** The least that is written; `silent` writes nothing. */
  readonly level: LogLevel
  /** `json`: one object a line with `time`, `level`, `message` and the fields. `text`: the same for a person's eye. */
  readonly format: 'json' | 'text'
  /** Takes one record without its line break. Default: standard output. What it throws reaches the caller. */
  readonly write?: (line: string) => void
  readonly clock?: Clock
  readonly fields?: LogFields
}

type RecordLevel = Exclude<LogLevel, 'silent'>
type Fields = { readonly [name: string]: Loggable }
type Render = (time: string, level: RecordLevel, message: string, fields: Fields) => string

const RANK: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3, silent: 4 }
const OWN_NAMES: ReadonlySet<string> = new Set(['time', 'level', 'message'])

/** A logger that writes each record as one line. Safe to share; keeps no state but its fields. */
export function createLogger(options: LoggerOptions): Logger {
  const { level, format, write = writeLine, clock = systemClock, fields = {} } = options
  const render = format === 'json' ? asJson : asText
  const emit = (at: RecordLevel, message: string, all: Fields): void => {
    const { message: text } = loggable({ message }) as { message: string }
    write(render(new Date(clock.now()).toISOString(), at, text, all))
  }
  return loggerOver(RANK[level], emit, loggable(fields))
}

function loggerOver(least: number, emit: (at: RecordLevel, message: string, all: Fields) => void, inherited: Fields): Logger {
  const at = (level: RecordLevel) => (message: string, fields?: LogFields) => {
    if (RANK[level] >= least) emit(level, message, fields === undefined ? inherited : joined(inherited, loggable(fields)))
  }
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => loggerOver(least, emit, joined(inherited, loggable(fields))),
  }
}

/** Later names win. Without a prototype, as `loggable` gives them. */
function joined(first: Fields, second: Fields): Fields {
  return Object.assign(Object.create(null) as Record<string, Loggable>, first, second)
}

const asJson: Render = (time, level, message, fields) => {
  const record = Object.assign(Object.create(null) as Record<string, Loggable>, { time, level, message })
  // A field can't pose as the record's own time, level or message.
  for (const [name, value] of Object.entries(fields)) record[OWN_NAMES.has(name) ? `fields.${name}` : name] = value
  return printable(JSON.stringify(record))
}

const asText: Render = (time, level, message, fields) => {
  const facts = Object.entries(fields).map(([name, value]) => ` ${bare(name)}=${JSON.stringify(value)}`)
  return printable(`${time} ${level.toUpperCase().padEnd(5)} ${bare(message)}${facts.join('')}`)
}

/** JSON's escapes without its quotes, so that a line break or an escape sequence can't act on a terminal. */
function bare(text: string): string {
  return JSON.stringify(text).slice(1, -1)
}

/**
 * JSON leaves some characters raw that end a line (U+2028, U+2029), drive a terminal (DEL, C1 controls) or turn the reading
 * direction around. They only occur inside texts here, where a \u escape means the same.
 */
function printable(line: string): string {
  return line.replaceAll(/[\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
