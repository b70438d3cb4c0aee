import { implement } from '../../operation.ts'

export const rootKeyList = implement('rootKeyList', async ({ deps, ids }) => {
  const [known, dataKeys] = [await deps.keeper.rootKeys(), await deps.keeper.dataKeys(ids.org)]
  return {
    data: known.map((key) => ({
      id: key.id,
      status: deps.keeper.rootKeyStatus(key.id),
      data_keys: dataKeys.filter(({ rootKeyId }) => rootKeyId === key.id).length,
      in_use: key.dataKeys + key.systemSecrets > 0,
      known_since: key.createdAt.toISOString(),
    })),
  }
})
