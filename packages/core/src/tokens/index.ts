export * from './errors.ts'
export * from './lifetime.ts'
export * from './lineage.ts'
export * from './token-set.ts'
