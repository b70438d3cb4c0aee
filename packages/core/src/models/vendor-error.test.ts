import { describe, expect, it } from 'vitest'
import { DIALECTS } from './schema.ts'
import { vendorError } from './vendor-error.ts'

const failure = (status: number) => ({ status, code: 'a_code', message: 'A sentence.', requestId: 'req_1' })

/** What the vendor's own client decides by. */
const WORDS = {
  openai: (status: number) => (vendorError('openai', failure(status)).body as { error: { type: string } }).error.type,
  anthropic: (status: number) => (vendorError('anthropic', failure(status)).body as { error: { type: string } }).error.type,
  gemini: (status: number) => (vendorError('gemini', failure(status)).body as { error: { status: string } }).error.status,
  bedrock: (status: number) => vendorError('bedrock', failure(status)).headers['x-amzn-errortype'],
}

describe('a failure of ours in a vendor’s words', () => {
  it.each([
    [400, 'invalid_request_error', 'invalid_request_error', 'INVALID_ARGUMENT', 'ValidationException'],
    [401, 'authentication_error', 'authentication_error', 'UNAUTHENTICATED', 'AccessDeniedException'],
    [403, 'permission_error', 'permission_error', 'PERMISSION_DENIED', 'AccessDeniedException'],
    [404, 'not_found_error', 'not_found_error', 'NOT_FOUND', 'ResourceNotFoundException'],
    [413, 'invalid_request_error', 'request_too_large', 'INVALID_ARGUMENT', 'ValidationException'],
    [429, 'rate_limit_error', 'rate_limit_error', 'RESOURCE_EXHAUSTED', 'ThrottlingException'],
    [500, 'server_error', 'api_error', 'INTERNAL', 'InternalServerException'],
    [502, 'server_error', 'api_error', 'UNAVAILABLE', 'ServiceUnavailableException'],
    [503, 'server_error', 'overloaded_error', 'UNAVAILABLE', 'ServiceUnavailableException'],
    [504, 'server_error', 'timeout_error', 'DEADLINE_EXCEEDED', 'ModelTimeoutException'],
  ])('of status %i is %s, %s, %s and %s', (status, openai, anthropic, gemini, bedrock) => {
    expect([WORDS.openai(status), WORDS.anthropic(status), WORDS.gemini(status), WORDS.bedrock(status)]).toEqual([
      openai,
      anthropic,
      gemini,
      bedrock,
    ])
  })

  it.each(DIALECTS)('holds its sentence and its code in %s', (dialect) => {
    const text = JSON.stringify(vendorError(dialect, failure(400)).body)
    expect(text).toContain('A sentence.')
    expect(text.toLowerCase()).toContain('a_code')
  })
})

describe('whether to try again', () => {
  it.each(['openai', 'anthropic'] as const)('is said to the clients of %s, which obey it', (dialect) => {
    const said = (again?: boolean) =>
      vendorError(dialect, { ...failure(409), ...(again === undefined ? {} : { again }) }).headers['x-should-retry']
    expect([said(true), said(false), said()]).toEqual(['true', 'false', undefined])
  })
})
