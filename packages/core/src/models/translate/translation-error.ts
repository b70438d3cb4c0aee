/**
 * Owns the refusal of a request that a vendor has no words for, in OpenAI's error shape. Refuses to repeat anything of the request but the names of
 * its fields.
 */
import { SallyportError } from '../../kernel/index.ts'

/** The one code of a `TranslationError`. */
export type TranslationErrorCode = 'model_request_untranslatable'

/** As OpenAI's own `code`. */
export type TranslationReason = 'unsupported_parameter' | 'unsupported_value' | 'invalid_value' | 'missing_required_parameter'

/** A field's place as OpenAI writes it. Longer or other text could hold more than a name. */
const PARAM = /^[\w.[\]-]{1,200}$/u

/** A request that can't be put into the vendor's words, or is none of OpenAI's. Answered with status 400. */
export class TranslationError extends SallyportError<TranslationErrorCode> {
  override readonly name = 'TranslationError'
  readonly reason: TranslationReason
  /** The field at fault, as `messages[0].content[1].type`. */
  readonly param: string | null

  /** `explanation` is for the caller and holds no value of the request. */
  constructor(reason: TranslationReason, param: string | null, explanation: string) {
    const named = param !== null && PARAM.test(param) ? param : null
    // Clients show their reader the text and not the field.
    super('model_request_untranslatable', explanation, { publicDetail: named === null ? explanation : `${named}: ${explanation}` })
    this.reason = reason
    this.param = named
  }

  /** The body of the answer in OpenAI's shape. */
  get body(): object {
    return { error: { message: this.message, type: 'invalid_request_error', param: this.param, code: this.reason } }
  }
}

/** What the vendor has no word for. */
export function unsupported(param: string, explanation: string): TranslationError {
  return new TranslationError('unsupported_parameter', param, explanation)
}

/** What the vendor has a word for, but not with this value. */
export function unsupportedValue(param: string, explanation: string): TranslationError {
  return new TranslationError('unsupported_value', param, explanation)
}

/** What is no request of OpenAI's API either. */
export function invalid(param: string, explanation: string): TranslationError {
  return new TranslationError('invalid_value', param, explanation)
}
