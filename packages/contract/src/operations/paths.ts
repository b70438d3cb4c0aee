/** Owns the places of the control plane: the path of each and the parameters that name it. */
import { z } from 'zod'
import * as s from '../schemas.ts'

export const API = '/api/v1'
export const ORG = `${API}/orgs/{org}`
export const PROJECT = `${ORG}/projects/{project}`
export const ENV = `${PROJECT}/{environment}`

export const inOrg = z.strictObject({ org: s.orgId })
export const inProject = z.strictObject({ org: s.orgId, project: s.projectId })
export const inEnvironment = z.strictObject({ org: s.orgId, project: s.projectId, environment: s.environment })
