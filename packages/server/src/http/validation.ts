/** Owns turning zod's issues into faults with JSON pointers. Refuses to repeat the value that was sent. */
import type { z } from 'zod'
import type { FastifySchemaCompiler } from 'fastify'
import { ProblemError } from './problem.ts'
import type { FieldFault } from './problem.ts'

const MAX_FAULTS = 20
const MAX_POINTER = 200

/** Fastify's names of the parts of a request, as pointers name them. */
const PART: Readonly<Record<string, string>> = { body: 'body', querystring: 'query', params: 'params', headers: 'headers' }

/** Checks a part of a request by its zod schema; what comes out is the parsed value, defaults filled in. */
export const validatorCompiler: FastifySchemaCompiler<z.ZodType> = ({ schema, httpPart }) => {
  return (data: unknown) => {
    const result = schema.safeParse(data)
    if (result.success) return { value: result.data }
    return { error: validationProblem(PART[httpPart ?? ''] ?? 'body', result.error.issues) }
  }
}

function validationProblem(part: string, issues: readonly z.core.$ZodIssue[]): ProblemError {
  const faults = issues.flatMap((issue) => faultsOf(part, issue)).slice(0, MAX_FAULTS)
  return new ProblemError('validation_failed', 'The request does not fit its schema; errors names each fault.', { faults })
}

function faultsOf(part: string, issue: z.core.$ZodIssue): FieldFault[] {
  if (issue.code !== 'unrecognized_keys') return [{ pointer: pointer(part, issue.path), reason: issue.message }]
  return issue.keys.map((key) => ({ pointer: pointer(part, [...issue.path, key]), reason: 'is not a field of this request' }))
}

/** RFC 6901 section 3: `~` and `/` are escaped. Cut, because names come from the caller. */
function pointer(part: string, path: readonly PropertyKey[]): string {
  const escaped = path.map((step) => String(step).replaceAll('~', '~0').replaceAll('/', '~1'))
  return `/${[part, ...escaped].join('/')}`.slice(0, MAX_POINTER)
}
