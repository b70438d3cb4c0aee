/** What model calls use: tokens, their cost, and how much of it may be spent. */
export type { MeteredCall, MeteredEnd, Metering, UsageMeter } from './metering.ts'
