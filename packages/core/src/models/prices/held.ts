/**
 * Owns the prices that come with the gateway: those that were held against the pages named below, on the day named there. Refuses the others: a model that
 * is not here has no known price until an operator's book says one. DeepSeek's are not here: they go by the hour and by the holidays of its country.
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

/** The same of Anthropic's fast mode: what it costs is what else costs twice as much. */
const fast = (price: PriceInput): PriceInput => ({ ...times(price, 20), tier: 'fast' })

/** And where it has to stay in the US: a tenth more. */
const orInUs = (price: PriceInput): readonly PriceInput[] => [
  price,
  { ...times(price, 11), tier: price.tier === undefined ? 'us' : `${price.tier}_us` },
]

/** So many tenths of it. */
function times(price: PriceInput, tenths: number): PriceInput {
  const of = (dollars: string): string => {
    const [whole, part = ''] = dollars.split('.')
    const micro = String(BigInt(whole! + part.padEnd(PLACES, '0')) * BigInt(tenths)).padStart(PLACES + 2, '0')
    return `${micro.slice(0, -PLACES - 1)}.${micro.slice(-PLACES - 1, -1)}`
  }
  const each = (['input', 'cached', 'written', 'written_long', 'output'] as const).filter((kind) => price[kind] !== undefined)
  return { ...price, ...Object.fromEntries(each.map((kind) => [kind, of(price[kind]!)])) }
}

/** Input, what of it is read from a cache, output. */
const gemini = (
  model: string,
  [input, cached, output]: readonly [string, string, string],
  bounds: Pick<PriceInput, 'above' | 'upto' | 'from' | 'until'> = {},
): PriceInput => ({ provider: 'gemini', model, ...bounds, input, cached, output })

/** OpenAI's priority processing: input, cached input, output. Of longer prompts it is not offered. */
const priority = (model: string, input: string, cached: string, output: string): PriceInput => ({
  ...openai(model, input, cached, output, LONG_GPT),
  tier: 'priority',
})

/** Input, cached input, output. Twice as much each from a prompt of `LONG_GROK` tokens on. */
const grok = (model: string, short: readonly [string, string, string], long: readonly [string, string, string]): readonly PriceInput[] => {
  const of = ([input, cached, output]: readonly [string, string, string]) => ({ provider: 'xai', model, input, cached, output })
  return [
    { ...of(short), upto: LONG_GROK - 1 },
    { ...of(long), above: LONG_GROK - 1 },
  ]
}

/** Input, cached input (a tenth), output; of each of its names. */
const mistral = (models: readonly string[], input: string, cached: string, output?: string): readonly PriceInput[] =>
  models.map((model) => ({ provider: 'mistral', model, input, cached, ...(output !== undefined && { output }) }))

/** Of a dollar, as the form of a book has them at most. */
const PLACES = 6

const SONNET = ['3.00', '0.30', '3.75', '6.00', '15.00'] as const
const OPUS = ['15.00', '1.50', '18.75', '30.00', '75.00'] as const
const LATER_OPUS = ['5.00', '0.50', '6.25', '10.00', '25.00'] as const
const OPUS_5_5 = ['4.00', '0.20', '5.00', '8.00', '20.00'] as const
const FABLE_5_2 = ['8.00', '0.20', '10.00', '16.00', '40.00'] as const
const GROK_4_20 = [
  ['1.25', '0.20', '2.50'],
  ['2.50', '0.40', '5.00'],
] as const
/** Of Gemini's Flash since 3.6: half of its price until the end of 2026. */
const FLASH = ['0.75', '0.075', '3.75'] as const
const FLASH_LATER = ['1.50', '0.15', '7.50'] as const
const LAST_OF_HALF = { until: '2026-12-31' } as const
const AFTER_HALF = { from: '2027-01-01' } as const
/** Longer prompts have other prices. */
const LONG_GPT = 272_000
const LONG_SONNET = 200_000
const LONG_GEMINI = 200_000
const LONG_HAIKU = 100_000
const LONG_GROK = 200_000

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
    {
      provider: 'openai',
      on: '2026-11-22',
      pages: [
        'https://developers.openai.com/api/docs/models',
        'https://developers.openai.com/api/docs/models/gpt-6.2-sol',
        'https://openai.com/api-priority-processing/',
      ],
    },
    {
      provider: 'anthropic',
      on: '2026-11-22',
      pages: [
        'https://platform.claude.com/docs/en/about-claude/pricing',
        'https://platform.claude.com/docs/en/models/opus-5-5/overview',
        'https://platform.claude.com/docs/en/models/haiku-5-5/overview',
        'https://platform.claude.com/docs/en/models/sonnet-5-5/overview',
        // Says since when reading from a cache costs less, which the copy of the page above is older than.
        'https://github.com/kurofune/claudit/releases/tag/v1.9.2',
        // The newest model, and the fast mode.
        'https://github.com/archid21/rightsize/releases/tag/v0.10.2',
        'https://platform.claude.com/docs/en/build-with-claude/fast-mode',
        'https://vercel.com/ai-gateway/models/claude-fable-5.2-fast',
        'https://vercel.com/ai-gateway/models/claude-opus-5.5-fast.md',
        'https://vercel.com/ai-gateway/models/claude-opus-5-fast.md',
        'https://docs.aws.amazon.com/claude-platform/latest/userguide/data-residency.html',
      ],
    },
    {
      provider: 'gemini',
      on: '2026-11-22',
      pages: [
        'https://ai.google.dev/gemini-api/docs/pricing',
        // What is read from a cache costs a tenth.
        'https://ai.google.dev/gemini-api/docs/optimization',
        'https://github.com/anomalyco/models.dev',
        'https://github.com/BerriAI/litellm/discussions/39357',
      ],
    },
    { provider: 'xai', on: '2026-11-22', pages: ['https://docs.x.ai/developers/pricing'] },
    { provider: 'mistral', on: '2026-11-22', pages: ['https://github.com/mistralai/platform-docs-public'] },
    {
      provider: 'cohere',
      on: '2026-11-22',
      pages: ['https://cohere.com/pricing', 'https://docs.flexprice.io/cookbooks/pricing-teardowns/cohere-pricing'],
    },
    {
      provider: 'groq',
      on: '2026-11-22',
      pages: ['https://console.groq.com/docs/models', 'https://github.com/braintrustdata/braintrust-proxy/issues/925'],
    },
    {
      provider: 'together',
      on: '2026-11-22',
      pages: ['https://docs.together.ai/docs/serverless/models', 'https://github.com/braintrustdata/braintrust-proxy/issues/566'],
    },
  ],
  prices: [
    {
      ...openai('gpt-6.2-sol', '2.00', '0.10', '10.00', LONG_GPT),
      written: '2.50',
    },
    { provider: 'openai', model: 'gpt-6.2-sol', above: LONG_GPT, input: '4.00', cached: '0.20', written: '5.00', output: '15.00' },
    // What their caches cost was not shown: a call that used one has no known cost.
    openai('gpt-6.1-sol', '2.00', undefined, '10.00', LONG_GPT),
    openai('gpt-6.1-terra', '1.00', undefined, '5.00', LONG_GPT),
    openai('gpt-6-astra', '10.00', undefined, '50.00', LONG_GPT),
    openai('gpt-6-luna', '0.10', undefined, '0.50', LONG_GPT),
    openai('gpt-5.6-sol', '4.00', undefined, '20.00', LONG_GPT),
    openai('gpt-5.6-terra', '2.00', undefined, '12.00', LONG_GPT),
    openai('gpt-5.6-luna', '0.20', undefined, '1.20', LONG_GPT),
    priority('gpt-5.5', '12.50', '1.25', '75.00'),
    priority('gpt-5.4', '5.00', '0.50', '30.00'),
    priority('gpt-5.4-mini', '1.50', '0.15', '9.00'),
    priority('gpt-5.2', '3.50', '0.35', '28.00'),
    priority('gpt-5.1', '2.50', '0.25', '20.00'),
    priority('gpt-5', '2.50', '0.25', '20.00'),
    priority('gpt-5-mini', '0.45', '0.045', '3.60'),
    priority('gpt-4.1', '3.50', '0.875', '14.00'),
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
    ...[
      claude('claude-fable-5-2', FABLE_5_2),
      fast(claude('claude-fable-5-2', FABLE_5_2)),
      claude('claude-fable-5-1', ['10.00', '0.25', '12.50', '20.00', '50.00']),
      claude('claude-fable-5', ['10.00', '1.00', '12.50', '20.00', '50.00']),
      claude('claude-opus-5-5', OPUS_5_5),
      fast(claude('claude-opus-5-5', OPUS_5_5)),
      claude('claude-opus-5', LATER_OPUS),
      fast(claude('claude-opus-5', LATER_OPUS)),
      claude('claude-sonnet-5-5', ['2.00', '0.10', '2.50', '4.00', '10.00']),
      claude('claude-sonnet-5', ['2.00', '0.20', '2.50', '4.00', '10.00']),
      { ...claude('claude-haiku-5-5', ['0.10', '0.01', '0.125', '0.20', '0.50']), upto: LONG_HAIKU },
      { ...claude('claude-haiku-5-5', ['0.50', '0.05', '0.625', '1.00', '2.50']), above: LONG_HAIKU },
      claude('claude-opus-4-8', LATER_OPUS),
      claude('claude-opus-4-7', LATER_OPUS),
      claude('claude-opus-4-6', LATER_OPUS),
      claude('claude-sonnet-4-6', SONNET),
    ].flatMap(orInUs),
    claude('claude-opus-4-5', LATER_OPUS),
    { ...claude('claude-sonnet-4-5', SONNET), upto: LONG_SONNET },
    claude('claude-haiku-4-5', ['1.00', '0.10', '1.25', '2.00', '5.00']),
    claude('claude-opus-4-1', OPUS),
    claude('claude-opus-4', OPUS),
    { ...claude('claude-sonnet-4', SONNET), upto: LONG_SONNET },
    claude('claude-3-7-sonnet', SONNET),
    claude('claude-3-5-sonnet', SONNET),
    claude('claude-3-5-haiku', ['0.80', '0.08', '1.00', '1.60', '4.00']),
    claude('claude-3-opus', OPUS),
    claude('claude-3-haiku', ['0.25', '0.03', '0.30', '0.50', '1.25']),
    ...['gemini-3.8-flash', 'gemini-3.7-flash', 'gemini-3.6-flash'].map((model) => gemini(model, FLASH, LAST_OF_HALF)),
    ...['gemini-3.8-flash', 'gemini-3.6-flash'].map((model) => gemini(model, FLASH_LATER, AFTER_HALF)),
    gemini('gemini-3.5-flash', ['1.50', '0.15', '9.00']),
    { provider: 'gemini', model: 'gemini-3.5-flash-lite', input: '0.30', output: '2.50' },
    gemini('gemini-2.5-pro', ['1.25', '0.125', '10.00'], { upto: LONG_GEMINI }),
    gemini('gemini-2.5-pro', ['2.50', '0.25', '15.00'], { above: LONG_GEMINI }),
    gemini('gemini-2.5-flash', ['0.30', '0.03', '2.50']),
    gemini('gemini-2.5-flash-lite', ['0.10', '0.01', '0.40']),
    ...['grok-4.7', 'grok-4.6'].flatMap((model) => grok(model, ['2.00', '0.50', '6.00'], ['4.00', '1.00', '12.00'])),
    ...grok('grok-4.5', ['2.00', '0.30', '6.00'], ['4.00', '0.60', '12.00']),
    ...['grok-4.3', 'grok-4.20-multi-agent-0309', 'grok-4.20-0309-reasoning', 'grok-4.20-0309-non-reasoning'].flatMap((model) =>
      grok(model, ...GROK_4_20),
    ),
    ...grok('grok-build-0.1', ['1.00', '0.20', '2.00'], ['2.00', '0.40', '4.00']),
    ...mistral(['mistral-medium-3-5', 'mistral-medium-3', 'mistral-medium-latest'], '1.50', '0.15', '7.50'),
    ...mistral(['mistral-large-2512', 'mistral-large-latest'], '0.50', '0.05', '1.50'),
    ...mistral(['mistral-small-2603', 'mistral-small-latest'], '0.15', '0.015', '0.60'),
    ...mistral(['mistral-medium-2508', 'mistral-medium-2505'], '0.40', '0.04', '2.00'),
    ...mistral(['mistral-small-2506'], '0.10', '0.01', '0.30'),
    ...mistral(['ministral-14b-2512', 'ministral-14b-latest'], '0.20', '0.02', '0.20'),
    ...mistral(['ministral-8b-2512', 'ministral-8b-latest'], '0.15', '0.015', '0.15'),
    ...mistral(['ministral-3b-2512', 'ministral-3b-latest'], '0.10', '0.01', '0.10'),
    ...mistral(['codestral-2508', 'codestral-latest'], '0.30', '0.03', '0.90'),
    ...mistral(['devstral-2512', 'devstral-latest', 'devstral-medium-latest'], '0.40', '0.04', '2.00'),
    ...mistral(['magistral-medium-2509', 'magistral-medium-latest'], '2.00', '0.20', '5.00'),
    ...mistral(['mistral-embed', 'mistral-embed-2312'], '0.10', '0.01'),
    ...mistral(['codestral-embed', 'codestral-embed-2505'], '0.15', '0.015'),
    { provider: 'cohere', model: 'command-r-08-2024', input: '0.15', output: '0.60' },
    { provider: 'groq', model: 'openai/gpt-oss-120b', input: '0.15', output: '0.60' },
    { provider: 'together', model: 'openai/gpt-oss-120b', input: '0.15', output: '0.60' },
  ],
}
