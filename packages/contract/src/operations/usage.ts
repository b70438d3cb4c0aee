/** Owns what model calls used and what they may cost. Refuses to let a key change what bounds it: budgets are for people. */
import { z } from 'zod'
import { CONTROL_BODY_BYTES } from '../access.ts'
import * as s from '../schemas.ts'
import { define } from './operation.ts'
import type { Operation } from './operation.ts'
import { ENV, ORG, inEnvironment, inOrg } from './paths.ts'

const USAGE = 'Usage'
const BUDGETS = 'Budgets'

const moments = {
  from: s.timestamp.optional().describe('From this moment on'),
  until: s.timestamp.optional().describe('Before this moment'),
}
const inBudget = inOrg.extend({ budget: s.budgetId })
const terms = {
  amount_usd: s.usd,
  enforcement: s.budget.shape.enforcement,
  unpriced: s.budget.shape.unpriced,
}
const change = { audience: 'tenant', role: 'BILLING', tenant: 'org', bodyLimit: CONTROL_BODY_BYTES } as const

export const usageOperations = {
  usageRecordList: define({
    method: 'GET',
    path: `${ENV}/usage-records`,
    tag: USAGE,
    summary: 'What each model call used, newest first; never what was asked or answered',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'usage:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.pageQuery.extend({
      key: s.keyId.optional(),
      end_user: s.endUserId.optional(),
      provider: s.usageQuery.shape.provider,
      model: s.usageQuery.shape.model,
      ...moments,
    }),
    response: s.pageOf(s.usageRecord),
    status: 200,
  }),
  usageGet: define({
    method: 'GET',
    path: `${ENV}/usage`,
    tag: USAGE,
    summary: 'What model calls of an environment used, added up',
    access: { audience: 'tenant', role: 'VIEWER', scope: 'usage:read', tenant: 'environment', audit: 'none', bodyLimit: 0 },
    params: inEnvironment,
    query: s.usageQuery,
    response: s.usageReport,
    status: 200,
  }),
  organizationUsageGet: define({
    method: 'GET',
    path: `${ORG}/usage`,
    tag: USAGE,
    summary: 'What model calls of an organization used, added up',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.usageQuery,
    response: s.usageReport,
    status: 200,
  }),
  usageExport: define({
    method: 'GET',
    path: `${ORG}/usage/export`,
    tag: USAGE,
    summary: 'The rows of all model calls as CSV, newest first; at most 20 an hour',
    access: { audience: 'tenant', role: 'BILLING', tenant: 'org', audit: 'usage.exported', bodyLimit: 0 },
    params: inOrg,
    query: z.strictObject(moments),
    response: z.string(),
    media: ['text/csv'],
    status: 200,
  }),
  budgetList: define({
    method: 'GET',
    path: `${ORG}/budgets`,
    tag: BUDGETS,
    summary: 'How much model calls may cost, and what is spent',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inOrg,
    query: s.pageQuery,
    response: s.pageOf(s.budget),
    status: 200,
  }),
  budgetCreate: define({
    method: 'POST',
    path: `${ORG}/budgets`,
    tag: BUDGETS,
    summary: 'Bound what model calls of the organization, of a project or with a key may cost',
    access: { ...change, audit: 'budget.created' },
    params: inOrg,
    body: z
      .strictObject({
        project: s.projectId.optional(),
        key: s.keyId.optional().describe('With neither, it is of the organization'),
        amount_usd: terms.amount_usd,
        period: s.budget.shape.period.default('month'),
        enforcement: terms.enforcement.default('hard'),
        unpriced: terms.unpriced.default('refuse'),
      })
      .refine(({ project, key }) => project === undefined || key === undefined, 'must name a project or a key, not both'),
    response: s.budget,
    status: 201,
  }),
  budgetGet: define({
    method: 'GET',
    path: `${ORG}/budgets/{budget}`,
    tag: BUDGETS,
    summary: 'One budget, as it stands',
    access: { audience: 'tenant', role: 'VIEWER', tenant: 'org', audit: 'none', bodyLimit: 0 },
    params: inBudget,
    response: s.budget,
    status: 200,
  }),
  budgetUpdate: define({
    method: 'PATCH',
    path: `${ORG}/budgets/{budget}`,
    tag: BUDGETS,
    summary: 'Change what it allows; what is spent in the period under way stays spent',
    access: { ...change, audit: 'budget.updated' },
    params: inBudget,
    body: z
      .strictObject(terms)
      .partial()
      .refine((body) => Object.values(body).some((value) => value !== undefined), 'must name what to change')
      .meta({ minProperties: 1 }),
    response: s.budget,
    status: 200,
  }),
  budgetDelete: define({
    method: 'DELETE',
    path: `${ORG}/budgets/{budget}`,
    tag: BUDGETS,
    summary: 'Take a budget away, with what it knows is spent',
    access: { ...change, audit: 'budget.deleted', bodyLimit: 0 },
    params: inBudget,
    response: null,
    status: 204,
  }),
} as const satisfies Record<string, Operation>
