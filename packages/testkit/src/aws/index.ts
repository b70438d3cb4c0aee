export { startAws } from './aws.ts'
export type { Aws, AwsBehaviour } from './aws.ts'
export { signatureFault } from './signature.ts'
export type { Expectation } from './signature.ts'
