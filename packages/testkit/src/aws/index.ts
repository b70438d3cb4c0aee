export { startAws } from './aws.ts'
export type { Aws, AwsBehaviour } from './aws.ts'
