/**
 * Owns what becomes of the parameters that a vendor has no word for. Refuses them by name, but for two short lists: values that ask for what would
 * happen anyway, and notes that change no answer. Both lists stand in docs/models-translation.md.
 */
import type { ChatRequest } from './asked.ts'
import { unsupported } from './translation-error.ts'

/** Of the request's form; every vendor's file says what it makes of the others. */
const FORM = ['model', 'messages', 'stream', 'stream_options']

/** About keeping, accounting and abuse at OpenAI. */
const NOTES = ['metadata', 'prompt_cache_key', 'prompt_cache_options', 'prompt_cache_retention', 'safety_identifier', 'user']

const isEmpty = (value: unknown): boolean => typeof value === 'object' && value !== null && Object.keys(value).length === 0
const is =
  (...plain: readonly unknown[]) =>
  (value: unknown): boolean =>
    plain.includes(value)

/** Values that ask for nothing. */
const NEUTRAL: Readonly<Record<string, (value: unknown) => boolean>> = {
  frequency_penalty: is(0),
  logit_bias: isEmpty,
  logprobs: is(false),
  modalities: (value) => Array.isArray(value) && value.every(is('text')),
  n: is(1),
  parallel_tool_calls: is(true),
  presence_penalty: is(0),
  service_tier: is('auto', 'default'),
  store: is(false),
  top_logprobs: is(0),
  verbosity: is('medium'),
}

/** Whether a parameter with this value changes no answer. */
export function asksNothing(param: string, value: unknown): boolean {
  if (value === null || value === undefined || NOTES.includes(param)) return true
  return Object.hasOwn(NEUTRAL, param) && NEUTRAL[param]!(value)
}

/** @throws TranslationError `unsupported_parameter` for the first parameter that is neither among `spoken` nor on one of the lists. */
export function refuseUnspoken(asked: ChatRequest, spoken: readonly string[]): void {
  for (const [param, value] of Object.entries(asked)) {
    if (FORM.includes(param) || spoken.includes(param) || asksNothing(param, value)) continue
    throw unsupported(param, 'The provider has no such parameter, so this request can’t be translated for it.')
  }
}
