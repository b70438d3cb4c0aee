import { formatId } from '@sallyport/core'
import { ProblemError } from '../../../http/index.ts'
import { principalRef } from '../../../identity/index.ts'
import { implement } from '../../operation.ts'

/** Told twice, or not done: once that it is no dry run, once which organization. */
export const dataKeyShred = implement('dataKeyShred', async ({ body, deps, ids, principal }) => {
  if (!body.dry_run && body.confirm !== formatId('org', ids.org)) {
    throw new ProblemError('validation_failed', 'Nothing was done. What is destroyed here never comes back.', {
      faults: [{ pointer: '/body/confirm', reason: "must be the organization's own id" }],
    })
  }
  const { keys, records } = await (body.dry_run ? deps.keeper.losses(ids.org) : deps.keeper.shred(ids.org, principalRef(principal)))
  return { shredded: !body.dry_run, data_keys: keys.map((key) => formatId('dk', key)), records }
})
