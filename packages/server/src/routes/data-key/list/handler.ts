import { implement } from '../../operation.ts'
import { presentDataKey } from '../present.ts'

export const dataKeyList = implement('dataKeyList', async ({ deps, ids }) => ({
  data: (await deps.keeper.dataKeys(ids.org)).map(presentDataKey),
}))
