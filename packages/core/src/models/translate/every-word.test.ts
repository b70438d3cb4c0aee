/** What of OpenAI's words each vendor is told, and what is refused by its name: nothing is passed over. The risk is an answer to another question than was asked. */
import { describe, expect, it } from 'vitest'
import { listModelProviders } from '../registry.ts'
import { TranslationError } from './translation-error.ts'
import { translationFor } from './translation-for.ts'

const VENDORS = ['anthropic', 'bedrock', 'gemini'] as const
const MODELS = { anthropic: 'claude-sonnet-5', bedrock: 'eu.anthropic.claude-v1', gemini: 'gemini-3-pro' } as const

/** What the vendor is told, as text; or the field that is refused. */
function told(vendor: (typeof VENDORS)[number], more: object): string {
  const asked = { model: MODELS[vendor], messages: [{ role: 'user', content: 'question' }], ...more }
  try {
    const provider = listModelProviders().find(({ id }) => id === vendor)!
    return `said ${JSON.stringify(translationFor(provider, { operation: 'chat' }).request(asked).body)}`
  } catch (error) {
    if (!(error instanceof TranslationError)) throw error
    return `refused ${error.param}`
  }
}

const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] })
const picture = (url: string) => ({ type: 'image_url', image_url: { url } })
const tools = [{ type: 'function', function: { name: 'look', parameters: { type: 'object', properties: {} } } }]
const call = (id: string, what: string) => ({ id, type: 'function', function: { name: 'look', arguments: JSON.stringify({ what }) } })
const results = (content: unknown) => ({
  tools,
  messages: [
    { role: 'user', content: 'question' },
    { role: 'assistant', tool_calls: [call('a1', 'sea'), call('b2', 'sky')] },
    { role: 'tool', tool_call_id: 'a1', content: 'blue' },
    { role: 'tool', tool_call_id: 'b2', content },
  ],
})
const schema = { type: 'json_schema', json_schema: { name: 'shape', schema: { type: 'object', title: 'form' }, strict: true } }
const PNG = 'data:image/png;base64,cGl4ZWxz'

/** A field, what is asked with it, and by vendor what must stand in the request: all of these texts, or the field that is refused. */
type Said = readonly string[] | { readonly refuses: string }
const CASES: readonly (readonly [string, object, Said, Said, Said])[] = [
  ['calls side by side', results('grey'), ...three(['"a1"', '"b2"', 'sea', 'sky', 'blue', 'grey'])],
  [
    'a result that holds a picture',
    results([{ type: 'text', text: 'see' }, picture(PNG)]),
    ...three({ refuses: 'messages[3].content[1].type' }),
  ],
  ['a result that is empty', results(''), ...three(['"a1"', '"b2"', 'blue'])],
  [
    'a tool of choice',
    { tools, tool_choice: { type: 'function', function: { name: 'look' } } },
    ['"tool_choice":{"type":"tool","name":"look"'],
    ['"toolChoice":{"tool":{"name":"look"}}'],
    ['"mode":"ANY","allowedFunctionNames":["look"]'],
  ],
  ['any tool', { tools, tool_choice: 'required' }, ['{"type":"any"}'], ['{"any":{}}'], ['"mode":"ANY"']],
  ['no tool', { tools, tool_choice: 'none' }, ['{"type":"none"}'], { refuses: 'tool_choice' }, ['"mode":"NONE"']],
  ['a tool where there is none', { tool_choice: 'required' }, ...three({ refuses: 'tool_choice' })],
  [
    'a named tool where there is none',
    { tool_choice: { type: 'function', function: { name: 'look' } } },
    ...three({ refuses: 'tool_choice' }),
  ],
  [
    'some of the tools',
    { tools, tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } } },
    ...three({ refuses: 'tool_choice' }),
  ],
  [
    'one call at a time',
    { tools, parallel_tool_calls: false },
    ['"disable_parallel_tool_use":true'],
    { refuses: 'parallel_tool_calls' },
    { refuses: 'parallel_tool_calls' },
  ],
  ['a tool of OpenAI’s own', { tools: [{ type: 'web_search' }] }, ...three({ refuses: 'tools[0].type' })],
  [
    'a picture by its address',
    user(picture('https://a.example/cat.png')),
    ['"url":"https://a.example/cat.png"'],
    { refuses: 'messages' },
    ['"fileUri":"https://a.example/cat.png"'],
  ],
  ['a picture with its data', user(picture(PNG)), ...three(['cGl4ZWxz', 'png'])],
  ['a picture as a file of one’s own', user(picture('file:///etc/passwd')), ...three({ refuses: 'messages[0].content[0].image_url.url' })],
  [
    'a schema for the answer',
    { response_format: schema },
    ['"title":"form"'],
    ['\\"title\\":\\"form\\"', '"shape"'],
    ['"title":"form"', 'application/json'],
  ],
  [
    'JSON without a schema',
    { response_format: { type: 'json_object' } },
    { refuses: 'response_format.type' },
    { refuses: 'response_format.type' },
    ['application/json'],
  ],
  ['a form that nobody knows', { response_format: { type: 'grammar', grammar: 'x' } }, ...three({ refuses: 'response_format.type' })],
  ['where to stop', { stop: 'END' }, ...three(['["END"]'])],
  ['where to stop, in several places', { stop: ['END', 'FIN'] }, ...three(['["END","FIN"]'])],
  ['several answers', { n: 2 }, { refuses: 'n' }, { refuses: 'n' }, ['"candidateCount":2']],
  [
    'instructions in the midst',
    {
      messages: [
        { role: 'system', content: 'first' },
        { role: 'user', content: 'question' },
        { role: 'developer', content: 'second' },
        { role: 'user', content: 'again' },
      ],
    },
    ...three(['first', 'second', 'question', 'again']),
  ],
  [
    'an empty message beside another',
    {
      messages: [
        { role: 'user', content: '' },
        { role: 'user', content: 'question' },
      ],
    },
    ...three(['question']),
  ],
  [
    'nothing but empty messages',
    {
      messages: [
        { role: 'user', content: '' },
        { role: 'assistant', content: [] },
      ],
    },
    ...three({ refuses: 'messages' }),
  ],
  [
    'a refusal that is handed back',
    {
      messages: [
        { role: 'assistant', content: null, refusal: 'never' },
        { role: 'user', content: 'why' },
      ],
    },
    ...three(['never', 'why']),
  ],
  [
    'a refusal beside what was said',
    {
      messages: [
        { role: 'assistant', content: 'well', refusal: 'never' },
        { role: 'user', content: 'why' },
      ],
    },
    ...three(['well', 'never']),
  ],
  ['how hard to reason', { reasoning_effort: 'high' }, ['"effort":"high"'], ['"effort":"high"'], ['"thinkingLevel":"HIGH"']],
  ['not to reason', { reasoning_effort: 'none' }, ['"disabled"'], { refuses: 'reasoning_effort' }, { refuses: 'reasoning_effort' }],
  ['a limit under both its names', { max_tokens: 5, max_completion_tokens: 5 }, ...three([':5'])],
  ['two limits', { max_tokens: 5, max_completion_tokens: 6 }, ...three({ refuses: 'max_tokens' })],
  ['log probabilities', { logprobs: true, top_logprobs: 2 }, ...three({ refuses: 'logprobs' })],
  ['a bias', { logit_bias: { 5: 1 } }, ...three({ refuses: 'logit_bias' })],
  ['to be served first', { service_tier: 'priority' }, ...three({ refuses: 'service_tier' })],
  ['a field with the name of an object’s own', { ['__proto__x']: 1, constructor: 1 }, ...three({ refuses: '__proto__x' })],
]

function three(said: Said): readonly [Said, Said, Said] {
  return [said, said, said]
}

describe('of OpenAI’s words', () => {
  it.each(CASES)('%s is said, or refused by its name', (_what, more, ...each) => {
    VENDORS.forEach((vendor, at) => {
      const [wanted, is] = [each[at]!, told(vendor, more)]
      if ('refuses' in wanted) expect([vendor, is]).toEqual([vendor, `refused ${wanted.refuses}`])
      else {
        expect([vendor, is]).toEqual([vendor, expect.stringMatching(/^said /u)])
        for (const text of wanted) expect([vendor, is]).toEqual([vendor, expect.stringContaining(text)])
      }
    })
  })
})
