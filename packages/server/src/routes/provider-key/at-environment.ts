import type { Place, TenantTx } from '../../db/index.ts'
import { ProblemError } from '../../http/index.ts'
import type { Principal } from '../../identity/index.ts'
import { boundConnection } from '../connection/bound.ts'
import { inEnvironment } from '../tenant.ts'

/** As `inEnvironment`. @throws ProblemError `forbidden` for a key that is bound to one connection: these keys are everybody's there. */
export function atEnvironment<T>(
  call: Parameters<typeof inEnvironment>[0] & { readonly principal: Principal },
  fn: (tx: TenantTx, at: Place) => Promise<T>,
): Promise<T> {
  if (boundConnection(call.principal) !== null)
    throw new ProblemError('forbidden', 'A key that is bound to one connection has no say in keys of model providers.')
  return inEnvironment(call, fn)
}
