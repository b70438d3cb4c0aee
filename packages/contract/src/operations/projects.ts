/** Owns the projects of an organization. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ORG, PROJECT, inOrg, inProject } from './paths.ts'

export const projectsOperations = {
  projectList: define({
    method: 'GET',
    path: `${ORG}/projects`,
    tag: 'Projects',
    summary: 'Projects of an organization',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'projects:read', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.project),
    status: 200,
  }),
  projectCreate: define({
    method: 'POST',
    path: `${ORG}/projects`,
    tag: 'Projects',
    summary: 'Make a project, with its two environments',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'projects:write',
      tenant: 'org',
      audit: 'project.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inOrg,
    body: z.strictObject({ name: s.name, return_origins: z.array(s.origin).max(50).default([]) }),
    response: s.project,
    status: 201,
  }),
  projectGet: define({
    method: 'GET',
    path: PROJECT,
    tag: 'Projects',
    summary: 'One project',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'projects:read', tenant: 'project', audit: 'none', bodyLimit: 0 },
    params: inProject,
    response: s.project,
    status: 200,
  }),
  projectUpdate: define({
    method: 'PATCH',
    path: PROJECT,
    tag: 'Projects',
    summary: 'Change the name or the origins that connect sessions may return to; not for test keys and keys bound to a connection',
    access: {
      audience: 'tenant',
      role: 'ADMIN',
      scope: 'projects:write',
      tenant: 'project',
      audit: 'project.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inProject,
    body: z
      .strictObject({ name: s.name.optional(), return_origins: z.array(s.origin).max(50).optional() })
      .refine((body) => Object.keys(body).length > 0, 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.project,
    status: 200,
  }),
  projectArchive: define({
    method: 'POST',
    path: `${PROJECT}/archive`,
    tag: 'Projects',
    summary: 'Put a project to rest: its keys are refused on every node within a second, and nothing is made in it; nothing is lost',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'project', audit: 'project.archived', bodyLimit: 0 },
    params: inProject,
    response: s.project,
    status: 200,
  }),
  projectRestore: define({
    method: 'POST',
    path: `${PROJECT}/restore`,
    tag: 'Projects',
    summary: 'Put an archived project back into use, with the keys that were not revoked meanwhile',
    access: { audience: 'tenant', role: 'ADMIN', tenant: 'project', audit: 'project.restored', bodyLimit: 0 },
    params: inProject,
    response: s.project,
    status: 200,
  }),
} as const satisfies Record<string, Operation>
