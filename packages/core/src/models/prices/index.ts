/** What model calls cost. */
export { createPriceBook, readPriceBook } from './book.ts'
export type { Nano, PriceBook, PricedCall, Tokens } from './book.ts'
export { HELD_PRICES } from './held.ts'
export { nanoOf, usdOf } from './money.ts'
export type { PriceBookInput } from './schema.ts'
