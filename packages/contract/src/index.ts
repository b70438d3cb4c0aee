/** The contract both ends share: shapes, problem codes and access of the control plane. Imports zod, nothing else. */
export * from './access.ts'
export * from './operations/index.ts'
export * from './problem.ts'
export * as schemas from './schemas.ts'
export * from './settings.ts'
