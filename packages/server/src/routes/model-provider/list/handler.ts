import { implement } from '../../operation.ts'

export const modelProviderList = implement('modelProviderList', async ({ deps }) => ({
  data: deps.providerKeys.providers.map(({ id, name, docs, dialect, credential, settings }) => ({
    id,
    name,
    docs,
    dialect,
    credential,
    settings: Object.entries(settings).map(([setting, description]) => ({ name: setting, description })),
  })),
}))
