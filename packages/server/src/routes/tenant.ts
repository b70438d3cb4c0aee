/**
 * Owns opening the tenant of a request's path. Refuses a project that isn't the organization's, before anything else is asked there: an
 * empty list would tell a foreign project from a random one no better, but a write would fail only at its foreign key.
 */
import { operations } from '@sallyport/contract'
import type { OperationName } from '@sallyport/contract'
import type { Database, Place, Project, TenantTx } from '../db/index.ts'
import { projectFind } from '../db/index.ts'
import { notFound, ProblemError } from '../http/index.ts'
import type { PathIds } from '../http/index.ts'
import { declared } from './operation.ts'

interface Asked<Name extends keyof PathIds> {
  readonly name: OperationName
  readonly ids: Pick<PathIds, Name>
  readonly deps: { readonly database: Pick<Database, 'withTenant'> }
}

/** Runs `fn` in one transaction of the path's organization. Rolled back when `fn` throws. */
export function inOrganization<T>(call: Asked<'org'>, fn: (tx: TenantTx) => Promise<T>): Promise<T> {
  return call.deps.database.withTenant(call.ids.org, fn)
}

/**
 * The same, with the path's project. @throws ProblemError `not_found` when the organization has no such project, `project_archived` when something
 * is to be made in one that rests: looking at it and ending what is in it goes on.
 */
export function inProject<T>(call: Asked<'org' | 'project'>, fn: (tx: TenantTx, project: Project) => Promise<T>): Promise<T> {
  return inOrganization(call, async (tx) => {
    const project = found(await projectFind(tx, call.ids.project))
    if (project.archivedAt !== null && declared(operations, call.name).status === 201) {
      throw new ProblemError('project_archived', 'Restore the project first.')
    }
    return fn(tx, project)
  })
}

/** The same, in the path's environment of the project. */
export function inEnvironment<T>(call: Asked<'org' | 'project' | 'environment'>, fn: (tx: TenantTx, at: Place) => Promise<T>): Promise<T> {
  const { project, environment } = call.ids
  return inProject(call, (tx) => fn(tx, { project, environment }))
}

/** What was found, or the one answer for absent and foreign. */
export function found<T>(row: T | undefined): T {
  if (row === undefined) throw notFound()
  return row
}
