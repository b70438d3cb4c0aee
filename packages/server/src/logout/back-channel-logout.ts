/**
 * Owns the end of sessions by word of their issuer: judged, carried out once, heard of by every node, and on record where the person belongs. Refuses to
 * believe anything before the signature, and to let made-up tokens cost more than a bounded number of judgements.
 */
import type { FastifyInstance } from 'fastify'
import { formatId, hasCode, JwtError, newId } from '@sallyport/core'
import type { Clock, Logger, Secret, UserId } from '@sallyport/core'
import { appendAudit } from '../audit/index.ts'
import type { Database } from '../db/index.ts'
import { FailureBudget, IdentityError } from '../identity/index.ts'
import type { OutsideIssuers, People, Sessions } from '../identity/index.ts'
import { judgeLogoutToken } from './logout-token.ts'
import type { LogoutToken } from './logout-token.ts'
import { registerLogoutRoute } from './routes.ts'

export interface BackChannelLogoutOptions {
  readonly issuers: Pick<OutsideIssuers, 'of'>
  readonly database: Pick<Database, 'withTenant' | 'lookups'>
  readonly sessions: Pick<Sessions, 'forgetEnded'>
  readonly people: Pick<People, 'forgetEnded'>
  readonly clock: Clock
  readonly logger: Logger
}

export interface BackChannelLogout {
  /**
   * Ends what the token names: here before it resolves, on every node as soon as it hears. `refused`: it is no logout token that is taken here, or
   * was carried out before.
   * @throws IdentityError `overloaded`, `database_unavailable`; JwtError `jwt_keys_unavailable`: the same token may be sent again
   */
  end(token: Secret, address: string): Promise<'ended' | 'refused'>
  /** POST /oidc/backchannel-logout. */
  registerRoutes(app: FastifyInstance): void
}

/** Longer than a token is taken. */
const KEEP_S = 3_600
/** As long as the database keeps it: a session may live at its issuer for as long as it is used there. */
const ENDED_FOR_S = 400 * 86_400
const MAX_IN_FLIGHT = 64
/** Of refused tokens, for each address. */
const BUDGET = { burst: 50, perSecond: 5, maxAddresses: 10_000 }

export function createBackChannelLogout(options: BackChannelLogoutOptions): BackChannelLogout {
  const failures = new FailureBudget({ clock: options.clock, ...BUDGET })
  let underWay = 0
  const logout: BackChannelLogout = {
    async end(token, address) {
      const retryAfterS = failures.retryAfterS(address)
      if (retryAfterS > 0) throw new IdentityError('overloaded', 'too many refused logout tokens from one address', { retryAfterS })
      if (underWay >= MAX_IN_FLIGHT) throw new IdentityError('overloaded', 'too many logout tokens are being judged', { retryAfterS: 1 })
      underWay += 1
      try {
        const outcome = await endBy(options, token)
        if (outcome === 'refused') failures.fail(address)
        return outcome
      } finally {
        underWay -= 1
      }
    },
    registerRoutes: (app) => registerLogoutRoute(app, logout),
  }
  return logout
}

async function endBy(options: BackChannelLogoutOptions, token: Secret): Promise<'ended' | 'refused'> {
  const judged = await judge(options, token)
  const people = judged && (await carryOut(options, judged))
  if (judged === undefined || people === undefined) return 'refused'
  options.sessions.forgetEnded(judged.issuerSession, people)
  options.people.forgetEnded(judged.issuerSession, people)
  await tell(options, judged, people)
  return 'ended'
}

/** Why a token is refused is the operator's to know, and nobody else's. */
async function judge({ issuers, clock, logger }: BackChannelLogoutOptions, token: Secret): Promise<LogoutToken | undefined> {
  try {
    return await judgeLogoutToken(token, issuers, clock.now())
  } catch (error) {
    if (!(error instanceof JwtError) || error.code === 'jwt_keys_unavailable') throw error
    logger.debug('A logout token was refused', { code: error.code })
    return undefined
  }
}

async function carryOut({ database }: BackChannelLogoutOptions, token: LogoutToken): Promise<readonly UserId[] | undefined> {
  try {
    return await database.lookups.signInLogout({ ...token, keepS: KEEP_S, lifeS: ENDED_FOR_S, id: newId('user') })
  } catch (error) {
    if (!hasCode(error, 'database_unavailable')) throw error
    throw new IdentityError('database_unavailable', 'the database could not be asked', { cause: error, retryAfterS: 1 })
  }
}

/**
 * A session belongs to no organization, so its end can't share a transaction with its events. It comes first, so that a failure leaves less access and
 * never more; what can't be written then is the operator's to know, since the issuer can't send it again.
 */
async function tell(options: BackChannelLogoutOptions, { issuer, issuerSession }: LogoutToken, people: readonly UserId[]): Promise<void> {
  const { database, logger } = options
  const detail = { by: 'issuer', issuer, what: issuerSession === null ? 'every session' : 'one session' }
  for (const person of people) {
    const who = formatId('user', person)
    const failed = (error: unknown): undefined => {
      logger.error('The end of a session by its issuer could not be written down everywhere', { person: who, error })
    }
    const standing = await database.lookups.personStanding(person, null).catch(failed)
    // One organization's log that can't be written keeps no other's from saying it.
    for (const { org } of standing?.standings ?? [])
      await database.withTenant(org, (tx) => appendAudit(tx, { action: 'session.ended', actor: who, target: who, detail })).catch(failed)
  }
}
