/**
 * Owns the prices that come with the gateway: those that were held against the pages named below, on the day named there. Refuses the others: a model that
 * is not here has no known price until an operator's book says one.
 */
import type { PriceBookInput, PriceInput } from './schema.ts'

/** Input, cached input, output. */
const openai = (model: string, input: string, cached: string | undefined, output: string, upto?: number): PriceInput => ({
  provider: 'openai',
  model,
  ...(upto === undefined ? {} : { upto }),
  input,
  ...(cached === undefined ? {} : { cached }),
  output,
})

/** Input, read from a cache, written to one, written for an hour, output. */
const claude = (model: string, [input, cached, written, long, output]: readonly [string, string, string, string, string]): PriceInput => ({
  provider: 'anthropic',
  model,
  input,
  cached,
  written,
  written_long: long,
  output,
})

const gemini = (model: string, input: string, output: string, bounds: Pick<PriceInput, 'above' | 'upto'> = {}): PriceInput => ({
  provider: 'gemini',
  model,
  ...bounds,
  input,
  output,
})

const SONNET = ['3.00', '0.30', '3.75', '6.00', '15.00'] as const
const OPUS = ['15.00', '1.50', '18.75', '30.00', '75.00'] as const
const LATER_OPUS = ['5.00', '0.50', '6.25', '10.00', '25.00'] as const
/** Longer prompts have other prices. */
const LONG_GPT = 272_000
const LONG_SONNET = 200_000
const LONG_GEMINI = 200_000

/** The prices that come with the gateway. */
export const HELD_PRICES: PriceBookInput = {
  currency: 'USD',
  held: [
    {
      provider: 'openai',
      on: '2026-08-05',
      pages: ['https://developers.openai.com/api/docs/pricing', 'https://tokenmath.io/openai-api-pricing-explained'],
    },
    {
      provider: 'anthropic',
      on: '2026-08-05',
      pages: [
        'https://platform.claude.com/docs/en/about-claude/models/overview',
        'https://docs.anthropic.com/en/docs/about-claude/pricing',
      ],
    },
    { provider: 'gemini', on: '2026-08-05', pages: ['https://ai.google.dev/gemini-api/docs/pricing'] },
  ],
  prices: [
    openai('gpt-5.5', '5.00', '0.50', '30.00', LONG_GPT),
    openai('gpt-5.4', '2.50', '0.25', '15.00', LONG_GPT),
    openai('gpt-5.4-mini', '0.75', '0.075', '4.50', LONG_GPT),
    openai('gpt-5.4-nano', '0.20', '0.02', '1.25', LONG_GPT),
    openai('gpt-5.2', '1.75', '0.175', '14.00'),
    openai('gpt-5.1', '1.25', '0.125', '10.00'),
    openai('gpt-5', '1.25', '0.125', '10.00'),
    openai('gpt-5-mini', '0.25', '0.025', '2.00'),
    openai('gpt-5-nano', '0.05', '0.005', '0.40'),
    openai('gpt-5-pro', '15.00', undefined, '120.00'),
    openai('gpt-4.1', '2.00', '0.50', '8.00'),
    openai('gpt-4.1-mini', '0.40', '0.10', '1.60'),
    openai('gpt-4.1-nano', '0.10', '0.025', '0.40'),
    openai('gpt-4o', '2.50', '1.25', '10.00'),
    openai('gpt-4o-mini', '0.15', '0.075', '0.60'),
    openai('o4-mini', '1.10', '0.275', '4.40'),
    openai('o3', '2.00', '0.50', '8.00'),
    openai('o3-mini', '1.10', '0.55', '4.40'),
    openai('o3-pro', '20.00', undefined, '80.00'),
    openai('o1', '15.00', '7.50', '60.00'),
    { provider: 'openai', model: 'text-embedding-3-small', input: '0.02' },
    { provider: 'openai', model: 'text-embedding-3-large', input: '0.13' },
    claude('claude-opus-4-8', LATER_OPUS),
    claude('claude-opus-4-7', LATER_OPUS),
    claude('claude-opus-4-6', LATER_OPUS),
    claude('claude-sonnet-4-6', SONNET),
    claude('claude-haiku-4-5', ['1.00', '0.10', '1.25', '2.00', '5.00']),
    claude('claude-opus-4-1', OPUS),
    claude('claude-opus-4', OPUS),
    { ...claude('claude-sonnet-4', SONNET), upto: LONG_SONNET },
    claude('claude-3-7-sonnet', SONNET),
    claude('claude-3-5-sonnet', SONNET),
    claude('claude-3-5-haiku', ['0.80', '0.08', '1.00', '1.60', '4.00']),
    claude('claude-3-opus', OPUS),
    claude('claude-3-haiku', ['0.25', '0.03', '0.30', '0.50', '1.25']),
    gemini('gemini-3.5-flash', '1.50', '9.00'),
    gemini('gemini-3.5-flash-lite', '0.30', '2.50'),
    gemini('gemini-2.5-pro', '1.25', '10.00', { upto: LONG_GEMINI }),
    gemini('gemini-2.5-pro', '2.50', '15.00', { above: LONG_GEMINI }),
    gemini('gemini-2.5-flash', '0.30', '2.50'),
    gemini('gemini-2.5-flash-lite', '0.10', '0.40'),
  ],
}
