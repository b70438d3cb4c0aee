import { archiving } from '../archiving.ts'
import { implement } from '../../operation.ts'

export const projectArchive = implement('projectArchive', (call) => archiving(call, true))
