import { describe, expect, it } from 'vitest'
import { callKind, modelOfPath } from './call.ts'

describe('what a path asks for', () => {
  it.each([
    ['/v1/chat/completions', 'generation'],
    ['/v1/chat/completion%73', 'generation'],
    ['/v1/chat/completions/', 'generation'],
    ['/v1beta/models/gemini-2.5-flash%3AstreamGenerateContent', 'generation'],
    ['/v1/%65mbeddings', 'embedding'],
    ['/v1/messages/count_tokens', 'free'],
    ['/v1beta/models/gemini-2.5-flash:countTokens', 'free'],
    ['/v1/responses/input_tokens', 'free'],
    ['/v1/files', 'free'],
    ['/v1/uploads/upload_1/parts', 'free'],
    ['/v1/responses/resp_1/cancel', 'free'],
  ])('%s is the same however it is written: %s', (path, kind) => {
    expect(callKind('POST', path)).toBe(kind)
  })

  it.each(['/v2/chat;cancel', '/v1/chat/completions%3Ftokenize', '/v1/chat/completions,moderations'])(
    'is not free because of what stands behind it: %s',
    (path) => {
      expect(callKind('POST', path)).toBe('other')
    },
  )

  it('names the model however it is written', () => {
    expect(modelOfPath('gemini', '/v1beta/models/gemini-2.5%2Dflash%3AgenerateContent')).toBe('gemini-2.5-flash')
    expect(modelOfPath('bedrock', '/model/anthropic.claude-v2%3A1/invoke')).toBe('anthropic.claude-v2:1')
  })
})
