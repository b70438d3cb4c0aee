/** Owns the list of ways in which the test issuer may behave. Everything is legal and strict until a test says otherwise. */

export interface IssuerBehaviour {
  /** The `iss` of its answers (RFC 9207). */
  iss: 'right' | 'wrong' | 'absent' | 'twice'
  /** What the authorization endpoint sends the browser back with. */
  answer: 'code' | 'two_codes' | 'two_states' | 'code_and_error' | 'neither' | { readonly error: string; readonly description?: string }
  /** `required`: S256 or nothing. `ignored`: a server that never heard of RFC 7636. */
  pkce: 'required' | 'ignored'
  /** What the token endpoint answers to a right request. */
  token: TokenBehaviour
  /** Runs while the token request waits for its answer: what else happens in the world meanwhile. */
  meanwhile: () => Promise<void>
  /** Overrides members of the token answer; undefined drops one. */
  members: Readonly<Record<string, unknown>>
  /** The account that signs in. */
  account: { readonly id: unknown; readonly login: unknown }
  userinfo: 'account' | 'unauthorized' | 'html' | 'no_id' | 'reset'
}

export type TokenBehaviour =
  | 'json'
  /** As a form, whatever was asked for. */
  | 'form'
  /** 200 and an HTML page. */
  | 'html'
  /** 500 and an HTML page. */
  | 'error_page'
  /** 200 and an `error` member, as GitHub does. */
  | 'error_in_success'
  /** 401, `invalid_client`, and a challenge. */
  | 'invalid_client'
  /** 302 to another place. */
  | 'redirect'
  /** The connection breaks before the answer. */
  | 'reset'
  /** The connection breaks within the answer. */
  | 'truncated'
  /** More bytes than any token answer has. */
  | 'endless'

export const LAWFUL: IssuerBehaviour = {
  iss: 'right',
  answer: 'code',
  pkce: 'required',
  token: 'json',
  meanwhile: async () => {},
  members: {},
  account: { id: 4711, login: 'grace' },
  userinfo: 'account',
}
