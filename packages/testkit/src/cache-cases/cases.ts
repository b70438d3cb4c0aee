/** Owns the form of http-cache-tests' cases, as far as they are read here. */

export interface CacheSuite {
  readonly id: string
  readonly tests: readonly CacheCase[]
}

export interface CacheCase {
  readonly id: string
  readonly name: string
  /** `required` when absent. `check` asks and judges nothing. */
  readonly kind?: 'required' | 'optimal' | 'check'
  readonly browser_only?: boolean
  readonly requests: readonly CacheStep[]
}

type HeaderLine = readonly [name: string, value: string | number, saved?: boolean]

/** One request of a case, what is answered to it, and what must come of it. */
export interface CacheStep {
  readonly request_method?: string
  readonly request_headers?: readonly HeaderLine[]
  readonly request_body?: string
  readonly magic_ims?: boolean
  readonly filename?: string
  readonly query_arg?: string
  readonly pause_after?: boolean
  readonly disconnect?: boolean
  readonly response_status?: readonly [number, string]
  readonly response_headers?: readonly HeaderLine[]
  readonly response_body?: string | null
  readonly check_body?: boolean
  readonly expected_type?: 'cached' | 'not_cached' | 'etag_validated' | 'lm_validated'
  readonly expected_status?: number
  readonly expected_method?: string
  readonly expected_request_headers?: readonly (string | readonly [string, string])[]
  readonly expected_response_headers?: readonly (string | readonly (string | number)[])[]
  readonly expected_response_headers_missing?: readonly (string | readonly string[])[]
  readonly expected_response_text?: string | null
}
