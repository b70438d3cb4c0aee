/** What the choices of a route mean, in the words of the person who makes it. */
import type { ModelRoute } from '../../api/resources.ts'

export const STRATEGY_WORDS: Readonly<Record<ModelRoute['strategy'], string>> = {
  ordered: 'In order, from the first on',
  weighted: 'Drawn by weight, and the rest likewise after it',
}

export const CAUSE_WORDS: Readonly<Record<ModelRoute['fallback_on'][number], string>> = {
  rate_limited: 'too many calls (429)',
  server_error: 'a failure of the provider (5xx, or no answer)',
  timeout: 'no answer in time',
  circuit_open: 'failing just now',
}
