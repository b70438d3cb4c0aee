import { SallyportError } from '../kernel/index.ts'

/** `credential_malformed`: what was sealed as a credential does not read as one (never a caller's fault). */
export type TokenErrorCode = 'credential_malformed'

export class TokenError extends SallyportError<TokenErrorCode> {}
