/**
 * Makes the schemas check without compiling themselves. Compiling needs `eval`, which the console's content policy refuses; asking whether
 * it is allowed already counts as a breach. Must be imported before anything that builds a schema.
 */
import { config } from 'zod'

config({ jitless: true })
