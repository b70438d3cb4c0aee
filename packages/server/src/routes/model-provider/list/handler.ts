import { implement } from '../../operation.ts'

export const modelProviderList = implement('modelProviderList', async ({ deps }) => ({
  data: deps.providerKeys.providers.map(({ id, name, docs, dialect, credential, settings, optionalSettings }) => ({
    id,
    name,
    docs,
    dialect,
    credential,
    settings: [...shown(settings, true), ...shown(optionalSettings, false)],
  })),
}))

function shown(settings: Readonly<Record<string, string>>, required: boolean) {
  return Object.entries(settings).map(([name, description]) => ({ name, description, required }))
}
