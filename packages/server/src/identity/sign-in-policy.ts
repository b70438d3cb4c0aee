/**
 * Owns the judgement whether a sign-in is one that an organization takes. Pure. Refuses to look at anything but this session's own way of signing in:
 * an identity that its person has linked, or has used before, says nothing of who sits there now (battery J-12).
 */
import type { SignIn } from '../db/index.ts'

/** One way of signing in. `provider` null: at the issuer itself; otherwise through that identity provider behind it. */
export interface SignInWay {
  readonly issuer: string
  readonly provider: string | null
}

export interface SignInPolicy {
  /** One of them is enough. */
  readonly ways: readonly SignInWay[]
  /** Whether an owner may come in another way with a second factor. */
  readonly breakGlass: boolean
}

/** What an organization asks, as its row was read: `unreadable` admits nobody. */
export type StoredPolicy = SignInPolicy | 'unreadable'

export type Admission =
  | 'admitted'
  /** In none of the ways, but as an owner with a second factor, which the organization lets in. */
  | 'break_glass'
  | 'refused'

/** Exact texts throughout: another spelling of an issuer is another issuer. */
export function isOneOf(ways: readonly SignInWay[], { issuer, provider }: Pick<SignIn, 'issuer' | 'provider'>): boolean {
  return ways.some((way) => way.issuer === issuer && way.provider === provider)
}

/** @param isOwner whether the person holds OWNER in the organization whose policy it is */
export function admission(policy: StoredPolicy | undefined, signIn: SignIn, isOwner: boolean): Admission {
  if (policy === undefined) return 'admitted'
  if (policy === 'unreadable') return 'refused'
  if (isOneOf(policy.ways, signIn)) return 'admitted'
  return policy.breakGlass && isOwner && signIn.assurance === 'aal2' ? 'break_glass' : 'refused'
}

/** The policy of `{ ways, break_glass }` as the database gives it; undefined for null, which is none. Whatever else it is admits nobody. */
export function readPolicy(stored: unknown): StoredPolicy | undefined {
  if (stored === null) return undefined
  if (typeof stored !== 'object' || !('ways' in stored) || !('break_glass' in stored)) return 'unreadable'
  const { ways, break_glass: breakGlass } = stored
  if (!Array.isArray(ways) || ways.length === 0 || typeof breakGlass !== 'boolean') return 'unreadable'
  return ways.every(isWay) ? { ways, breakGlass } : 'unreadable'
}

function isWay(value: unknown): value is SignInWay {
  if (typeof value !== 'object' || value === null || !('issuer' in value) || !('provider' in value)) return false
  const { issuer, provider } = value
  return typeof issuer === 'string' && issuer !== '' && (provider === null || (typeof provider === 'string' && provider !== ''))
}
