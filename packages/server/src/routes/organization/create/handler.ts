import { principalRef } from '../../../identity/index.ts'
import { foundOrganization, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { presentOwn } from '../present.ts'

/** `Idempotency-Key` is kept for the person: there is no organization yet that it could be kept in. */
export const organizationCreate = implement('organizationCreate', async ({ name, body, deps, principal, idempotencyKey, reply }) => {
  const person = personOf(principal)
  const asked =
    idempotencyKey === undefined ? undefined : { caller: principalRef(person), key: idempotencyKey, operation: name, request: { body } }
  const once = asked && deps.idempotency.hashes(asked)
  const { joined, replayed } = await foundOrganization(deps.database, person, {
    name: body.name,
    mostOwned: deps.organizationsPerOwner,
    once,
  })
  if (replayed) void reply.header('idempotency-replayed', 'true')
  return presentOwn(joined)
})
