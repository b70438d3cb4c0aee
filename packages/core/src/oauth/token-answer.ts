/**
 * Owns the differences between what providers answer at the token endpoint and what RFC 6749 section 5 says, as one table. Everything else
 * sees standard answers only. Refuses to repair what changes meaning: a missing token, another token type.
 */
import { lifetimeSeconds } from '../tokens/index.ts'

/**
 * - `form_answer`: the body may be `application/x-www-form-urlencoded`.
 * - `error_in_success`: failures come with status 200 and an `error` member.
 * - `authed_user`: the person's tokens lie in a member of that name, beside those of an application.
 * - `own_token_type`: bearer tokens are called `bot` or `user`, after whom they speak for.
 * - `spent_is_invalid_request`: a refresh token that is over is refused as `invalid_request`, not as `invalid_grant`.
 */
export type TokenQuirk = 'form_answer' | 'error_in_success' | 'authed_user' | 'own_token_type' | 'spent_is_invalid_request'

/** All of them, for the schema of records. */
export const TOKEN_QUIRKS = [
  'form_answer',
  'error_in_success',
  'authed_user',
  'own_token_type',
  'spent_is_invalid_request',
] as const satisfies readonly TokenQuirk[]

/** Those that change what an answer says; the others change how it is read. */
type Restating = Exclude<TokenQuirk, 'form_answer' | 'spent_is_invalid_request'>

/** A token answer before it is judged: its status and the members of its body. */
interface TokenAnswer {
  readonly status: number
  readonly members: Record<string, unknown>
}

const QUIRKS: Readonly<Record<Restating, (answer: TokenAnswer) => TokenAnswer>> = {
  error_in_success: (answer) => (answer.status === 200 && 'error' in answer.members ? { ...answer, status: 400 } : answer),
  authed_user: ({ status, members }) => ({ status, members: { ...members, ...personal(members['authed_user']) } }),
  own_token_type: ({ status, members }) => ({
    status,
    members: members['token_type'] === 'bot' || members['token_type'] === 'user' ? { ...members, token_type: 'bearer' } : members,
  }),
}

const TOKEN_MEMBERS = ['access_token', 'refresh_token', 'token_type', 'expires_in', 'scope'] as const

/** All five are taken from there, the missing ones as missing: an application's token must not stand in for a person's. */
function personal(user: unknown): Record<string, unknown> {
  const given = (typeof user === 'object' && user !== null ? user : {}) as Record<string, unknown>
  return Object.fromEntries(TOKEN_MEMBERS.map((name) => [name, Object.hasOwn(given, name) ? given[name] : undefined]))
}

/**
 * The answer as a server that keeps to the standard would have sent it, for the library to judge. `expires_in` is made sane (battery F-19) and
 * an `id_token` is left out: whose account it is, is asked of the provider with the token itself. A body that can't be read is
 * passed on as it is, for the library to refuse.
 */
export async function standardAnswer(response: Response, quirks: readonly TokenQuirk[]): Promise<Response> {
  const text = await response.text()
  const members = readMembers(text, response.headers.get('content-type') ?? '', quirks)
  if (members === undefined) return rebuilt(response.status, response.headers, text)
  let answer: TokenAnswer = { status: response.status, members }
  for (const quirk of quirks) if (isRestating(quirk)) answer = QUIRKS[quirk](answer)
  const headers = new Headers(response.headers)
  headers.set('content-type', 'application/json')
  return rebuilt(answer.status, headers, JSON.stringify(tidied(answer.members)))
}

function isRestating(quirk: TokenQuirk): quirk is Restating {
  return Object.hasOwn(QUIRKS, quirk)
}

function readMembers(text: string, contentType: string, quirks: readonly TokenQuirk[]): Record<string, unknown> | undefined {
  if (quirks.includes('form_answer') && contentType.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(text))
  }
  if (!/^application\/(?:[\w.+-]+\+)?json\b/iu.test(contentType)) return undefined
  try {
    const body = JSON.parse(text) as unknown
    return typeof body === 'object' && body !== null && !Array.isArray(body) ? (body as Record<string, unknown>) : undefined
  } catch {
    // Not JSON after all: the library refuses the untouched body.
    return undefined
  }
}

function tidied(members: Record<string, unknown>): Record<string, unknown> {
  const { id_token: _ignored, expires_in, refresh_token, ...rest } = members
  const lifetime = lifetimeSeconds(expires_in)
  return {
    ...rest,
    ...(lifetime === null ? {} : { expires_in: lifetime }),
    // An empty or null refresh token is a way of saying there is none.
    ...(refresh_token === null || refresh_token === '' || refresh_token === undefined ? {} : { refresh_token }),
  }
}

function rebuilt(status: number, headers: Headers, body: string): Response {
  const kept = new Headers(headers)
  // The body is decoded and re-written by now; and a challenge would hide the body's `error` from the library.
  for (const name of ['content-length', 'content-encoding', 'transfer-encoding', 'www-authenticate']) kept.delete(name)
  return new Response(bodyless(status) ? null : body, { status: usable(status), headers: kept })
}

function bodyless(status: number): boolean {
  return status === 204 || status === 205 || status === 304
}

/** `Response` takes 200 to 599 only. */
function usable(status: number): number {
  return status >= 200 && status <= 599 ? status : 502
}
