import { changeSettings, personOf } from '../../../organizations/index.ts'
import { implement } from '../../operation.ts'
import { inOrganization } from '../../tenant.ts'
import { presentSettings } from '../present.ts'

export const settingsUpdate = implement('settingsUpdate', async (call) =>
  presentSettings(await inOrganization(call, (tx) => changeSettings(tx, personOf(call.principal), call.body))),
)
