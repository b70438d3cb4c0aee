import { principalRef } from '../../../identity/index.ts'
import { oneEach } from '../../one-each.ts'
import { implement } from '../../operation.ts'

/** So many are told of; more say nothing new. */
const MOST_FAULTS = 100

const alone = oneEach('The records of this organization are being verified on this node already.')

export const dataKeyVerify = implement('dataKeyVerify', async ({ deps, ids, principal }) => {
  const { dataKeys, records, destroyed, faults } = await alone(ids.org, () => deps.keeper.verify(principalRef(principal), ids.org))
  return {
    data_keys: dataKeys,
    records,
    destroyed,
    faults: faults.slice(0, MOST_FAULTS).map(({ table, record, code }) => ({ table, record, code })),
    faults_total: faults.length,
  }
})
