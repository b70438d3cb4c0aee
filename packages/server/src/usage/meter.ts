/**
 * Owns metering: what a call asks for is set aside from budgets before it goes out, what its answer says of its use is read as it passes by, and both end
 * in one row. Refuses to keep anything of a call but figures, names of models and who asked.
 */
import { BYTES_PER_TOKEN, callKind, cleanModel, headerText, modelOfPath, newId, usageReader } from '@sallyport/core'
import type { CallKind, Clock, Metrics, ParsedHeaders, PriceBook, UsageReader, UsageReading } from '@sallyport/core'
import type { UseLog } from '../audit/index.ts'
import type { UsageRow } from '../db/index.ts'
import type { Budgets, Reservation } from './budgets.ts'
import type { ArrivingCall, MeteredCall, MeteredEnd, Metering, UsageMeter } from './metering.ts'
import { createModelNames } from './model-names.ts'
import type { ModelNames } from './model-names.ts'

export interface UsageMeterOptions {
  readonly prices: PriceBook
  readonly budgets: Pick<Budgets, 'bounds' | 'reserve' | 'written'>
  readonly useLog: Pick<UseLog, 'usage'>
  readonly clock: Clock
  readonly metrics: Metrics
  readonly node: string
}

/** Set aside for each answer of a call that does not say how much its model may write. */
export const RESERVED_OUTPUT_TOKENS = 4_096
/** No model writes more in one call. What a caller says beyond it would make a row that no column takes, and with it its group would be refused. */
const MOST_OUTPUT_TOKENS = 1_000_000_000
/** And for one whose body has no known length. */
const RESERVED_INPUT_TOKENS = 8_192
/** Fewer than usual: text that is no English has more tokens. */
const RESERVED_BYTES_PER_TOKEN = BYTES_PER_TOKEN - 1

export function createUsageMeter(options: UsageMeterOptions): UsageMeter {
  const names = createModelNames(options.prices)
  const metered = (call: MeteredCall, kind: CallKind, reservation: Reservation | undefined, most?: number): Metering =>
    new MeteredAnswer(options, names, call, kind, reservation, most)
  return {
    wantsBody(call) {
      if (saysNothing(call)) return false
      const { keyId, org, project } = call.principal
      return options.budgets.bounds({ keyId, org, project })
    },
    begin(call) {
      const kind = callKind(call.method, pathOf(call))
      if (kind === 'free') return metered(call, kind, undefined)
      const most = mostOf(options.prices, call, kind)
      // What is worked on later has no bound that anybody hears of, nor has what is not understood: they count as calls whose cost is not known beforehand.
      const isKnown = call.background !== true && call.opaque !== true
      const reservation = options.budgets.reserve(call.principal, isKnown ? most : undefined)
      return reservation instanceof Promise
        ? reservation.then((made) => metered(call, kind, made, most))
        : metered(call, kind, reservation, most)
    },
  }
}

const FORM = /^multipart\/form-data(?:;|$)/iu

/** Of uploads: a file costs no tokens, and a form names neither model nor limit where it could be read. Where a model writes, the body is JSON, whatever it says. */
function saysNothing(call: ArrivingCall): boolean {
  const kind = callKind(call.method, pathOf(call))
  return kind === 'free' || (kind === 'other' && FORM.test(call.type ?? ''))
}

/** The most that a call may cost, as far as it can be told before it is made; undefined when it can't. */
function mostOf(prices: PriceBook, call: MeteredCall, kind: CallKind): number | undefined {
  const model = askedModel(call)
  if (model === undefined || kind === 'other') return undefined
  const input = call.bodyBytes === undefined ? RESERVED_INPUT_TOKENS : Math.ceil(call.bodyBytes / RESERVED_BYTES_PER_TOKEN)
  const output = kind === 'embedding' ? 0 : (mostWritten(call) ?? reservedOutput(call))
  const tokens = { input, cached: 0, written: 0, writtenLong: 0, output }
  return prices.cost({ provider: call.provider.id, model, tier: undefined }, tokens)
}

function mostWritten({ maxOutputTokens }: MeteredCall): number | undefined {
  return maxOutputTokens === undefined ? undefined : Math.min(maxOutputTokens, MOST_OUTPUT_TOKENS)
}

function reservedOutput({ answers = 1 }: MeteredCall): number {
  return Math.min(RESERVED_OUTPUT_TOKENS * answers, MOST_OUTPUT_TOKENS)
}

function askedModel(call: MeteredCall): string | undefined {
  return cleanModel(call.model) ?? modelOfPath(call.provider.dialect, pathOf(call))
}

class MeteredAnswer implements Metering {
  readonly #o: UsageMeterOptions
  readonly #names: ModelNames
  readonly #call: MeteredCall
  readonly #kind: CallKind
  readonly #reservation: Reservation | undefined
  readonly #most: number | undefined
  readonly #at: number
  readonly #startedAt: number
  #reader: UsageReader | undefined
  #status = 0
  #firstByteMs: number | undefined
  #ended = false

  constructor(
    options: UsageMeterOptions,
    names: ModelNames,
    call: MeteredCall,
    kind: CallKind,
    reservation: Reservation | undefined,
    most: number | undefined,
  ) {
    this.#o = options
    this.#names = names
    this.#call = call
    this.#kind = kind
    this.#reservation = reservation
    this.#most = most
    this.#at = options.clock.now()
    this.#startedAt = options.clock.monotonic()
  }

  answered(status: number, headers: ParsedHeaders): void {
    const { method, provider } = this.#call
    this.#status = status
    const header = (name: string): string | undefined => headerText(headers, name)
    this.#reader = usageReader(provider.dialect, { method, path: pathOf(this.#call), status, header })
  }

  chunk(bytes: Uint8Array): void {
    this.#firstByteMs ??= this.#o.clock.monotonic() - this.#startedAt
    this.#reader?.write(bytes)
  }

  end(outcome: MeteredEnd): void {
    if (this.#ended) return
    this.#ended = true
    if (outcome.unsent === true) {
      this.#reservation?.settle(undefined)
      return
    }
    const reading = this.#read(outcome)
    const model = reading?.model ?? askedModel(this.#call)
    const cost = this.#costOf(reading, model)
    const row = this.#row(reading, model, cost, outcome)
    const charges = this.#reservation?.settle(this.#taken(reading, model, cost)) ?? []
    this.#o.useLog.usage({ row, charges, node: this.#o.node }, (charged) => this.#o.budgets.written(charged))
    this.#count(row)
  }

  #read({ aborted, error }: MeteredEnd): UsageReading | undefined {
    const { bodyBytes } = this.#call
    const maxOutput = mostWritten(this.#call) ?? (this.#reservation === undefined ? undefined : reservedOutput(this.#call))
    const reader = this.#reader ?? (this.#status === 0 && UNHEARD.has(error) ? this.#unheard() : undefined)
    return reader?.end({ whole: aborted === undefined && error === undefined, requestBytes: bodyBytes, maxOutput })
  }

  /** Of an answer that nobody waited for. */
  #unheard(): UsageReader | undefined {
    const { method, provider } = this.#call
    return usageReader(provider.dialect, { method, path: pathOf(this.#call), status: 200, header: () => undefined })
  }

  #costOf(reading: UsageReading | undefined, model: string | undefined): number | undefined {
    if (reading?.usage === undefined || reading.special || model === undefined) return undefined
    return this.#o.prices.cost({ provider: this.#call.provider.id, model, tier: reading.tier }, reading.usage)
  }

  /**
   * What budgets take. Where a provider said nothing, what was set aside, or the estimate if that is more: a caller chooses whether it is told, by asking
   * for no usage or by going before it is said, and what a model thinks and does not show would be paid for by nobody's budget.
   */
  #taken(reading: UsageReading | undefined, model: string | undefined, cost: number | undefined): number | undefined {
    const known = cost ?? this.#standIn(reading, model)
    if (reading?.usage?.source !== 'estimated' || this.#most === undefined) return known
    return Math.max(known ?? 0, this.#most)
  }

  /**
   * What budgets take for a call of no known cost, so that nobody gets around one by asking for what has no known price, as a service level: what it would
   * have cost at the standard level, or what was set aside. Undefined where nothing is known to have been used.
   */
  #standIn(reading: UsageReading | undefined, model: string | undefined): number | undefined {
    if (reading?.usage === undefined) return undefined
    for (const name of [model, askedModel(this.#call)]) {
      const cost =
        name === undefined
          ? undefined
          : this.#o.prices.cost({ provider: this.#call.provider.id, model: name, tier: undefined }, reading.usage)
      if (cost !== undefined) return cost
    }
    return this.#most
  }

  #row(reading: UsageReading | undefined, model: string | undefined, cost: number | undefined, outcome: MeteredEnd): UsageRow {
    const { principal, request, provider, route, endUser } = this.#call
    if (principal.project === null) throw new TypeError('a key of an organization calls nothing')
    const usage = reading?.usage
    const firstByteMs = this.#firstByteMs
    return {
      org: principal.org,
      id: newId('use', this.#at),
      request,
      at: new Date(this.#at),
      project: principal.project,
      environment: principal.environment,
      key: principal.keyId,
      endUser,
      provider: provider.id,
      model: model ?? null,
      route,
      status: this.#status,
      error: outcome.aborted ?? outcome.error ?? null,
      source: usage?.source ?? null,
      inputTokens: usage?.input ?? null,
      cachedTokens: usage?.cached ?? null,
      writtenTokens: usage?.written ?? null,
      outputTokens: usage?.output ?? null,
      reasoningTokens: usage?.reasoning ?? null,
      costNano: cost ?? null,
      durationUs: Math.round((this.#o.clock.monotonic() - this.#startedAt) * 1_000),
      firstByteUs: firstByteMs === undefined ? null : Math.round(firstByteMs * 1_000),
    }
  }

  #count(row: UsageRow): void {
    const { metrics } = this.#o
    const { provider } = row
    const model = this.#names.of(provider, row.model)
    const outcome = row.error !== null ? 'cut' : row.status >= 200 && row.status < 400 ? 'answered' : 'refused'
    metrics.count('sallyport_model_calls_total', { provider, model, outcome })
    if (this.#kind !== 'free' && row.source !== null) {
      this.#countTokens(row, model, 'input', row.inputTokens)
      this.#countTokens(row, model, 'cached', row.cachedTokens)
      this.#countTokens(row, model, 'written', row.writtenTokens)
      this.#countTokens(row, model, 'output', row.outputTokens)
      metrics.count('sallyport_model_cost_nanodollars_total', { provider, model }, row.costNano ?? 0)
    }
    if (row.firstByteUs !== null) metrics.observe('sallyport_model_first_byte_seconds', { provider }, row.firstByteUs / 1_000_000)
  }

  #countTokens({ provider, source }: UsageRow, model: string, kind: string, tokens: number | null): void {
    if (source === null || tokens === null || tokens === 0) return
    this.#o.metrics.count('sallyport_model_tokens_total', { provider, model, source, kind }, tokens)
  }
}

/** The call was given up before its answer: the provider has read it all the same, and says so on its bill alone. */
const UNHEARD: ReadonlySet<string | undefined> = new Set(['client_gone', 'upstream_timeout'])

function pathOf({ path }: Pick<MeteredCall, 'path'>): string {
  const query = path.indexOf('?')
  return query === -1 ? path : path.slice(0, query)
}
