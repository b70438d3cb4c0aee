import { archiving } from '../archiving.ts'
import { implement } from '../../operation.ts'

export const projectRestore = implement('projectRestore', (call) => archiving(call, false))
