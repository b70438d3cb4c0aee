/** Owns the named routes of model calls: which models answer to a name of an environment, and when the next one is asked. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, inEnvironment } from './paths.ts'

const target = z.strictObject({
  provider: s.modelTarget.shape.provider,
  model: s.modelTarget.shape.model,
  key_name: s.modelTarget.shape.key_name.default('default'),
  weight: s.modelTarget.shape.weight.default(1),
  first_byte_timeout_ms: s.modelTarget.shape.first_byte_timeout_ms.default(null),
})
const targets = z.array(target).min(1).max(s.MODEL_TARGETS_MOST)
const fallbackOn = z.array(z.enum(s.FALLBACK_CAUSES)).max(s.FALLBACK_CAUSES.length)

const inRoute = inEnvironment.extend({ model_route: s.modelRouteId })
const ofEnvironment = { audience: 'tenant', tenant: 'environment' } as const
const tag = 'Model routes'

export const modelRoutesOperations = {
  modelRouteList: define({
    method: 'GET',
    path: `${ENV}/model-routes`,
    tag,
    summary: 'Named routes of an environment',
    access: { ...ofEnvironment, role: 'VIEWER', scope: 'model_routes:read', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery,
    response: s.pageOf(s.modelRoute),
    status: 200,
  }),
  modelRouteCreate: define({
    method: 'POST',
    path: `${ENV}/model-routes`,
    tag,
    summary: 'Let a name stand for one model or several: calls of `/v1/` that ask for it go to the first that can be asked',
    access: {
      ...ofEnvironment,
      role: 'ADMIN',
      scope: 'model_routes:write',
      audit: 'model_route.created',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inEnvironment,
    body: z.strictObject({
      name: s.modelRouteName,
      strategy: s.modelRoute.shape.strategy.default('ordered'),
      targets,
      fallback_on: fallbackOn
        .default([...s.FALLBACK_CAUSES])
        .describe('Empty: the first target that can be asked answers, whatever it says'),
      deadline_ms: s.modelRoute.shape.deadline_ms.default(600_000),
    }),
    response: s.modelRoute,
    status: 201,
  }),
  modelRouteGet: define({
    method: 'GET',
    path: `${ENV}/model-routes/{model_route}`,
    tag,
    summary: 'One named route',
    access: { ...ofEnvironment, role: 'VIEWER', scope: 'model_routes:read', audit: 'none', bodyLimit: 0 },
    params: inRoute,
    response: s.modelRoute,
    status: 200,
  }),
  modelRouteUpdate: define({
    method: 'PATCH',
    path: `${ENV}/model-routes/{model_route}`,
    tag,
    summary: 'Replace what is named, the targets as a whole; calls that begin after the change go by it',
    access: {
      ...ofEnvironment,
      role: 'ADMIN',
      scope: 'model_routes:write',
      audit: 'model_route.updated',
      bodyLimit: CONTROL_BODY_BYTES,
    },
    params: inRoute,
    body: z
      .strictObject({
        name: s.modelRouteName.optional(),
        strategy: s.modelRoute.shape.strategy.optional(),
        targets: targets.optional(),
        fallback_on: fallbackOn.optional(),
        deadline_ms: s.modelRoute.shape.deadline_ms.optional(),
      })
      .refine((body) => Object.values(body).some((value) => value !== undefined), 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.modelRoute,
    status: 200,
  }),
  modelRouteDelete: define({
    method: 'DELETE',
    path: `${ENV}/model-routes/{model_route}`,
    tag,
    summary: 'Take a name away; calls that ask for it are refused from then on',
    access: { ...ofEnvironment, role: 'ADMIN', scope: 'model_routes:write', audit: 'model_route.deleted', bodyLimit: 0 },
    params: inRoute,
    response: null,
    status: 204,
  }),
} as const satisfies Record<string, Operation>
