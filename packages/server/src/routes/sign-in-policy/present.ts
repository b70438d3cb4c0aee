import type { SignInPolicyRow } from '../../db/index.ts'
import { readPolicy } from '../../identity/index.ts'
import type { SignInWay } from '../../identity/index.ts'

/** As the contract shows it. A policy that this version can't read has no ways: it admits nobody, and is to be put anew. */
export function presentSignInPolicy(row: SignInPolicyRow | undefined) {
  if (row === undefined) return { ways: null, break_glass: false, updated_at: null }
  const policy = readPolicy({ ways: row.ways, break_glass: row.breakGlass })
  const ways: SignInWay[] = policy === undefined || policy === 'unreadable' ? [] : [...policy.ways]
  return { ways, break_glass: row.breakGlass, updated_at: row.updatedAt.toISOString() }
}
