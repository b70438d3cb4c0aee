/** Owns what is read from the API and under which name it is remembered. Refuses to remember across tenants: every name holds its place. */
import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { SallyportApiError } from '@sallyport/client'
import type { Environment } from '@sallyport/contract'
import { api } from './client.ts'
import type { UsageGroup, WhoAmI } from './resources.ts'

/** Where a screen acts: the tenant parameters of the API's paths. */
export interface Place {
  readonly org: string
  readonly project: string
  readonly environment: Environment
}

const PAGE_ROWS = 50
/** Lists that are chosen from, in one page: the most that the API gives. */
const CHOICE_ROWS = 200
const FEW_ROWS = 6

/** The signed-in person, or null when nobody is. Anything but a plain "not signed in" is an error. */
export const whoamiQuery = queryOptions({
  queryKey: ['whoami'],
  staleTime: 60_000,
  queryFn: async (): Promise<WhoAmI | null> => {
    try {
      return await api.call('whoami')
    } catch (error) {
      if (isSignedOut(error)) return null
      throw error
    }
  },
})

export function isSignedOut(error: unknown): boolean {
  return error instanceof SallyportApiError && error.status === 401
}

export const providersQuery = queryOptions({
  queryKey: ['providers'],
  staleTime: Infinity,
  queryFn: async () => (await api.call('providerList')).data,
})

export const organizationQuery = (org: string) =>
  queryOptions({ queryKey: ['organization', org], staleTime: 60_000, queryFn: () => api.call('organizationGet', { params: { org } }) })

export const projectsQuery = (org: string) =>
  queryOptions({
    queryKey: ['projects', org],
    staleTime: 60_000,
    queryFn: async () => (await api.call('projectList', { params: { org }, query: { limit: CHOICE_ROWS } })).data,
  })

export const integrationsQuery = (place: Place) =>
  queryOptions({
    queryKey: ['integrations', place],
    queryFn: async () => (await api.call('integrationList', { params: place, query: { limit: CHOICE_ROWS } })).data,
  })

/** The newest connections, for choosing one and for the overview. */
export const recentConnectionsQuery = (place: Place) =>
  queryOptions({
    queryKey: ['connections', place, 'recent'],
    queryFn: () => api.call('connectionList', { params: place, query: { limit: CHOICE_ROWS } }),
  })

export const recentKeysQuery = (place: Place) =>
  queryOptions({
    queryKey: ['keys', place, 'recent'],
    queryFn: () => api.call('keyList', { params: place, query: { limit: CHOICE_ROWS } }),
  })

/** The last few calls, for the overview. */
export const recentRequestsQuery = (place: Place) =>
  queryOptions({
    queryKey: ['requests', place, 'recent'],
    queryFn: () => api.call('requestList', { params: place, query: { limit: FEW_ROWS } }),
  })

export const connectionPages = (place: Place) =>
  pages(['connections', place, 'pages'], (query) => api.call('connectionList', { params: place, query }))

export const connectionQuery = (place: Place, connection: string) =>
  queryOptions({
    queryKey: ['connections', place, connection],
    queryFn: () => api.call('connectionGet', { params: { ...place, connection } }),
  })

export const keyPages = (place: Place) => pages(['keys', place, 'pages'], (query) => api.call('keyList', { params: place, query }))

export const requestPages = (place: Place) =>
  pages(['requests', place, 'pages'], (query) => api.call('requestList', { params: place, query }))

export const auditPages = (org: string) => pages(['audit', org, 'pages'], (query) => api.call('auditEventList', { params: { org }, query }))

export const modelProvidersQuery = queryOptions({
  queryKey: ['model-providers'],
  staleTime: Infinity,
  queryFn: async () => (await api.call('modelProviderList')).data,
})

/** What an environment keeps, and what its organization keeps for all of them. */
export const providerKeyPages = (place: Place) =>
  pages(['provider-keys', place, 'pages'], (query) => api.call('providerKeyList', { params: place, query }))

export const organizationProviderKeyPages = (org: string) =>
  pages(['provider-keys', org, 'pages'], (query) => api.call('organizationProviderKeyList', { params: { org }, query }))

/** The providers that calls of this environment find a kept key for, the environment's own first. */
export const keptProvidersQuery = (place: Place) =>
  queryOptions({
    queryKey: ['provider-keys', place, 'kept'],
    queryFn: async () => {
      const query = { limit: CHOICE_ROWS }
      const [own, all] = await Promise.all([
        api.call('providerKeyList', { params: place, query }),
        api.call('organizationProviderKeyList', { params: { org: place.org }, query }),
      ])
      const kept = [...own.data, ...all.data].filter(({ state, name }) => state === 'active' && name === 'default')
      return [...new Set(kept.map(({ provider }) => provider))]
    },
  })

export const modelRoutePages = (place: Place) =>
  pages(['model-routes', place, 'pages'], (query) => api.call('modelRouteList', { params: place, query }))

/** The names that calls may ask for instead of a model, for choosing one. */
export const modelRoutesQuery = (place: Place) =>
  queryOptions({
    queryKey: ['model-routes', place, 'all'],
    queryFn: async () => (await api.call('modelRouteList', { params: place, query: { limit: CHOICE_ROWS } })).data,
  })

export const settingsQuery = (org: string) =>
  queryOptions({ queryKey: ['settings', org], queryFn: () => api.call('settingsGet', { params: { org } }) })

/** Which use is asked for. */
export interface UsageQuestion {
  /** Of the environment, or of all that the organization has. */
  readonly of: 'environment' | 'organization'
  /** The first day. */
  readonly from: string
  /** Absent: one sum of everything. */
  readonly by?: UsageGroup
}

export const usageQuery = (place: Place, { of, from, by }: UsageQuestion) =>
  queryOptions({
    queryKey: ['usage', place, of, from, by],
    queryFn: () => {
      const query = { from, ...(by === undefined ? {} : { group_by: by }) }
      return of === 'environment'
        ? api.call('usageGet', { params: place, query })
        : api.call('organizationUsageGet', { params: { org: place.org }, query })
    },
  })

export const usageRecordPages = (place: Place) =>
  pages(['usage', place, 'calls'], (query) => api.call('usageRecordList', { params: place, query }))

export const budgetPages = (org: string) => pages(['budgets', org, 'pages'], (query) => api.call('budgetList', { params: { org }, query }))

/** Who read what is kept of model calls. */
export const contentReadingPages = (org: string) =>
  pages(['audit', org, 'stored-content'], (query) =>
    api.call('auditEventList', { params: { org }, query: { ...query, action: 'stored_content.read' } }),
  )

/** How far a connect session has come; asked again until it has ended. */
export const connectSessionQuery = (place: Place, session: string) =>
  queryOptions({
    queryKey: ['connect-session', place, session],
    queryFn: () => api.call('connectSessionGet', { params: { ...place, session } }),
    refetchInterval: ({ state }) => (state.data?.status === 'completed' || state.data?.status === 'failed' ? false : 1500),
  })

interface PageOf<Item> {
  readonly data: Item[]
  readonly next_cursor: string | null
}

function pages<Item>(queryKey: readonly unknown[], read: (query: { limit: number; cursor?: string }) => Promise<PageOf<Item>>) {
  return infiniteQueryOptions({
    queryKey,
    initialPageParam: undefined as string | undefined,
    queryFn: ({ pageParam }) => read({ limit: PAGE_ROWS, ...(pageParam === undefined ? {} : { cursor: pageParam }) }),
    getNextPageParam: (page) => page.next_cursor ?? undefined,
  })
}
