/** Owns the addresses of the console. Every screen stands under its tenant, so that an address means the same to whoever opens it. */
import { createRootRoute, createRoute, createRouter, notFound, redirect } from '@tanstack/react-router'
import { projectsQuery, whoamiQuery } from '../api/queries.ts'
import type { Place } from '../api/queries.ts'
import { AuditScreen } from '../features/audit/audit-screen.tsx'
import { ConnectionsScreen } from '../features/connections/connections-screen.tsx'
import { IntegrationsScreen } from '../features/integrations/integrations-screen.tsx'
import { KeysScreen } from '../features/keys/keys-screen.tsx'
import { ModelsScreen } from '../features/models/models-screen.tsx'
import { OverviewScreen } from '../features/overview/overview-screen.tsx'
import { RequestsScreen } from '../features/requests/requests-screen.tsx'
import { SettingsScreen } from '../features/settings/settings-screen.tsx'
import { UsageScreen } from '../features/usage/usage-screen.tsx'
import { Loading } from '../ui/page.tsx'
import { Lost, NoProject, ScreenFailure } from './dead-ends.tsx'
import { readEnvironment, rememberedPlace } from './place.ts'
import { queryClient } from './query-client.ts'
import { Shell } from './shell.tsx'

const rootRoute = createRootRoute({ notFoundComponent: Lost })

const homeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/',
  component: NoProject,
  beforeLoad: async () => {
    const place = await homePlace()
    if (place !== undefined) throw redirect({ to: '/$org/$project/$environment', params: place, replace: true })
  },
})

const placeRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/$org/$project/$environment',
  component: Shell,
  params: {
    parse: ({ org, project, environment }) => {
      const known = readEnvironment(environment)
      if (known === undefined) throw notFound()
      return { org, project, environment: known }
    },
  },
})

const screen = <Path extends string>(path: Path, component: () => React.ReactNode) =>
  createRoute({ getParentRoute: () => placeRoute, path, component })

const routeTree = rootRoute.addChildren([
  homeRoute,
  placeRoute.addChildren([
    screen('/', OverviewScreen),
    screen('/connections', ConnectionsScreen),
    screen('/integrations', IntegrationsScreen),
    screen('/models', ModelsScreen),
    screen('/keys', KeysScreen),
    screen('/requests', RequestsScreen),
    screen('/usage', UsageScreen),
    screen('/audit', AuditScreen),
    screen('/settings', SettingsScreen),
  ]),
])

export const router = createRouter({
  routeTree,
  basepath: '/console',
  defaultPendingComponent: Loading,
  defaultErrorComponent: ScreenFailure,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

/** The last place while it is still one of the person's, else the first project's test environment. */
async function homePlace(): Promise<Place | undefined> {
  const person = await queryClient.ensureQueryData(whoamiQuery)
  const last = rememberedPlace()
  const orgs = person?.memberships.map(({ org }) => org) ?? []
  const org = orgs.find((known) => known === last.org) ?? orgs[0]
  if (org === undefined) return undefined
  const projects = await queryClient.ensureQueryData(projectsQuery(org))
  const project = projects.find(({ id }) => id === last.project) ?? projects[0]
  return project && { org, project: project.id, environment: readEnvironment(last.environment ?? '') ?? 'test' }
}
