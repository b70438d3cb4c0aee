import { implement } from '../../operation.ts'

export const providerList = implement('providerList', async ({ deps }) => ({
  data: deps.providers.map(({ id, name, docs, defaultScopes }) => ({
    id,
    name,
    kind: 'oauth2' as const,
    default_scopes: [...defaultScopes],
    docs,
  })),
}))
