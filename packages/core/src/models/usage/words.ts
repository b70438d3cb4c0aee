/** Owns where each API says what a call used. Refuses to read what a model wrote: only its place in the answer's own structure counts. */
import type { Dialect } from '../schema.ts'
import { compile } from './json-scan.ts'
import type { Compiled, Places } from './json-scan.ts'

/**
 * Figures by name:
 * `input`, `output`: what is charged. `cached`, `written`, `writtenLong`: of the input, read from a cache, written to one, and of that for an hour.
 * `reasoning`: of the output. `begun`: output that was said before it was all. `total`: both. `rawInput`, `rawOutput`: stand in where nothing is charged.
 * `thoughts`, `tools`: beside output and input, to be added. `audio`: tokens of another price.
 * Texts: `model`, `tier`, `speed` and `place` (which have prices of their own as a tier has), `modality`. Weight: `text`, what a model wrote.
 */
export interface Words {
  readonly places: Compiled
  /** Cached and written tokens are not among those of `input`. */
  readonly besideCache: boolean
  /** What is said before the end may be less than it will be. */
  readonly cumulative: boolean
}

const OPENAI: Places = {
  model: ['text', 'model', 'response.model'],
  tier: ['text', 'service_tier', 'response.service_tier'],
  input: ['figure', ...usage('prompt_tokens'), ...usage('input_tokens')],
  output: ['figure', ...usage('completion_tokens'), ...usage('output_tokens')],
  total: ['figure', ...usage('total_tokens')],
  cached: [
    'figure',
    ...usage('prompt_tokens_details.cached_tokens'),
    ...usage('input_tokens_details.cached_tokens'),
    ...usage('prompt_cache_hit_tokens'),
    ...usage('cached_tokens'),
  ],
  written: ['figure', ...usage('prompt_tokens_details.cache_write_tokens'), ...usage('input_tokens_details.cache_write_tokens')],
  reasoning: ['figure', ...usage('completion_tokens_details.reasoning_tokens'), ...usage('output_tokens_details.reasoning_tokens')],
  audio: [
    'figure',
    ...usage('prompt_tokens_details.audio_tokens'),
    ...usage('completion_tokens_details.audio_tokens'),
    ...usage('input_token_details.audio_tokens'),
    ...usage('input_tokens_details.image_tokens'),
  ],
  text: [
    'weight',
    ...['content', 'reasoning_content', 'reasoning', 'refusal', 'tool_calls.function.arguments'].flatMap((name) => [
      `choices.delta.${name}`,
      `choices.message.${name}`,
    ]),
    'choices.text',
    'delta',
    'output.content.text',
  ],
}

/** At the root, in the last event of a responses stream, and where Groq puts it. */
function usage(name: string): readonly string[] {
  return [`usage.${name}`, `response.usage.${name}`, `x_groq.usage.${name}`]
}

const ANTHROPIC: Places = {
  model: ['text', 'model', 'message.model'],
  tier: ['text', 'usage.service_tier', 'message.usage.service_tier'],
  speed: ['text', 'usage.speed', 'message.usage.speed'],
  place: ['text', 'usage.inference_geo', 'message.usage.inference_geo'],
  input: ['figure', 'usage.input_tokens', 'message.usage.input_tokens'],
  output: ['figure', 'usage.output_tokens'],
  begun: ['figure', 'message.usage.output_tokens'],
  cached: ['figure', 'usage.cache_read_input_tokens', 'message.usage.cache_read_input_tokens'],
  written: ['figure', 'usage.cache_creation_input_tokens', 'message.usage.cache_creation_input_tokens'],
  writtenLong: ['figure', 'usage.cache_creation.ephemeral_1h_input_tokens', 'message.usage.cache_creation.ephemeral_1h_input_tokens'],
  reasoning: ['figure', 'usage.output_tokens_details.thinking_tokens'],
  text: ['weight', 'delta.text', 'delta.partial_json', 'delta.thinking', 'content.text', 'content.thinking'],
}

const GEMINI: Places = {
  model: ['text', 'modelVersion'],
  tier: ['text', 'usageMetadata.trafficType'],
  input: ['figure', 'usageMetadata.promptTokenCount'],
  tools: ['figure', 'usageMetadata.toolUsePromptTokenCount'],
  output: ['figure', 'usageMetadata.candidatesTokenCount'],
  thoughts: ['figure', 'usageMetadata.thoughtsTokenCount'],
  cached: ['figure', 'usageMetadata.cachedContentTokenCount'],
  modality: ['text', 'usageMetadata.promptTokensDetails.modality', 'usageMetadata.candidatesTokensDetails.modality'],
  text: ['weight', 'candidates.content.parts.text'],
}

/** Gemini's interactions. */
const INTERACTION: Places = {
  model: ['text', 'model', 'interaction.model'],
  tier: ['text', 'service_tier', 'interaction.service_tier'],
  input: ['figure', ...interacted('total_input_tokens')],
  tools: ['figure', ...interacted('total_tool_use_tokens')],
  output: ['figure', ...interacted('total_output_tokens')],
  thoughts: ['figure', ...interacted('total_thought_tokens')],
  cached: ['figure', ...interacted('total_cached_tokens')],
  modality: ['text', ...interacted('input_tokens_by_modality.modality'), ...interacted('output_tokens_by_modality.modality')],
  text: ['weight', 'delta.text', 'delta.arguments', 'steps.content.text'],
}

/** At the root, in the last event of a stream, and with its pieces. */
function interacted(name: string): readonly string[] {
  return [`usage.${name}`, `interaction.usage.${name}`, `metadata.total_usage.${name}`]
}

const COHERE: Places = {
  input: ['figure', ...billed('billed_units.input_tokens')],
  output: ['figure', ...billed('billed_units.output_tokens')],
  rawInput: ['figure', ...billed('tokens.input_tokens')],
  rawOutput: ['figure', ...billed('tokens.output_tokens')],
  cached: ['figure', ...billed('cached_tokens')],
  text: ['weight', 'delta.message.content.text', 'delta.message.tool_calls.function.arguments', 'message.content.text', 'text'],
}

function billed(name: string): readonly string[] {
  return [`usage.${name}`, `delta.usage.${name}`, `meta.${name}`, `response.meta.${name}`]
}

const INVOCATION = 'amazon-bedrock-invocationMetrics'
const BEDROCK: Places = {
  input: ['figure', 'usage.inputTokens', `${INVOCATION}.inputTokenCount`],
  output: ['figure', 'usage.outputTokens', `${INVOCATION}.outputTokenCount`],
  cached: ['figure', 'usage.cacheReadInputTokens', `${INVOCATION}.cacheReadInputTokenCount`],
  written: ['figure', 'usage.cacheWriteInputTokens', `${INVOCATION}.cacheWriteInputTokenCount`],
  // Of a model's own body, in its own words.
  rawInput: [
    'figure',
    'usage.input_tokens',
    'message.usage.input_tokens',
    'usage.prompt_tokens',
    'inputTextTokenCount',
    'prompt_token_count',
  ],
  rawOutput: ['figure', 'usage.output_tokens', 'usage.completion_tokens', 'generation_token_count'],
  text: ['weight', 'delta.text', 'delta.toolUse.input', 'delta.reasoningContent.text', 'output.message.content.text', 'content.text'],
}

const WORDS: Readonly<Record<Dialect, Words>> = {
  openai: { places: compile(OPENAI), besideCache: false, cumulative: false },
  anthropic: { places: compile(ANTHROPIC), besideCache: true, cumulative: false },
  gemini: { places: compile(GEMINI), besideCache: false, cumulative: true },
  cohere: { places: compile(COHERE), besideCache: false, cumulative: false },
  bedrock: { places: compile(BEDROCK), besideCache: true, cumulative: false },
}

const INTERACTION_WORDS: Words = { places: compile(INTERACTION), besideCache: false, cumulative: true }

/** In whose words the answer to a call of this path is: several providers speak others' beside their own. */
export function wordsOf(dialect: Dialect, path: string): Words {
  if (dialect !== 'bedrock' && path.endsWith('/messages')) return WORDS.anthropic
  if (dialect !== 'gemini') return WORDS[dialect]
  if (/\/openai\//u.test(path) || /\/endpoints\/openapi\//u.test(path)) return WORDS.openai
  if (/\/publishers\/(?!google\/)/u.test(path)) return /\/publishers\/anthropic\//u.test(path) ? WORDS.anthropic : WORDS.openai
  return path.endsWith('/interactions') ? INTERACTION_WORDS : WORDS.gemini
}
