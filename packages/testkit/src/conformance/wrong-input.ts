/**
 * Owns what has bitten the users of libraries of this kind, and which test holds each of it off. Refuses to be a list of intentions: a test that is
 * not there fails the run.
 */

export interface WrongInput {
  readonly what: string
  /** From the root of the repository. */
  readonly file: string
  /** As it stands there. */
  readonly test: string
}

export const WRONG_INPUTS: readonly WrongInput[] = [
  {
    what: 'A network error with the token in its request, logged',
    file: 'packages/core/src/observability/logger.test.ts',
    test: 'L-03 logs a failed request of another library without the token that it was sent with',
  },
  {
    what: 'A logger that changes what it logs',
    file: 'packages/core/src/observability/logger.test.ts',
    test: 'L-04 leaves a live token set as it was, frozen or not',
  },
  {
    what: 'A listener that changes what it is told',
    file: 'packages/core/test/sdk/canaries.test.ts',
    test: 'L-04 changes neither what is kept in memory, nor what the caller and the next listener get',
  },
  {
    what: 'A feed at a private address',
    file: 'packages/core/test/sdk/items.test.ts',
    test: 'S-01 S-07 go nowhere for %s',
  },
  {
    what: 'A feed that redirects to a private address',
    file: 'packages/core/test/sdk/items.test.ts',
    test: 'S-05 follow a redirect only where the door lets them, and not for ever',
  },
  {
    what: 'An answer of 200 MB',
    file: 'packages/core/test/sdk/resilience.test.ts',
    test: 'D-08 are never large ones: 200 MB pass as a stream, and are refused as a text, with the connection',
  },
  {
    what: '`Retry-After: 99999999`',
    file: 'packages/core/test/sdk/resilience.test.ts',
    test: 'S47 D-13 hand an endless Retry-After on, and hold that user back no longer than a cap',
  },
  {
    what: 'Five answers of 404 in a row',
    file: 'packages/core/test/sdk/resilience.test.ts',
    test: 'S43 D-12 opens for no number of 404s',
  },
  {
    what: 'Kept answers of other pages, users or grants',
    file: 'packages/core/test/sdk/resilience.test.ts',
    test: 'S44 F-20 L-13 stand in, marked, for a provider that is down; for no other user, page, query or grant',
  },
  {
    what: 'Kept answers of another owner, connection, generation or version',
    file: 'packages/core/src/pipeline/cache.test.ts',
    test: 'N7 S45 never answers one owner, connection, generation, integration, page or version of the policy with another’s',
  },
  {
    what: 'A state that was used, made up, or begun for another user, session or provider',
    file: 'packages/core/test/sdk/stores.test.ts',
    test: 'O-04 refuses a state that was used, made up, or begun for another user, session or provider',
  },
]
