/**
 * Owns the kinds of settings: how each is checked, how it is read from text, what the reference says of it. Refuses a setting without a
 * sentence, and a secret in any type but `Secret`.
 */
import { z } from 'zod'
import { Secret } from '@sallyport/core'

/** How a value written as text (a variable, a reference in the file) becomes one. Lists are separated by commas; empty text is no entry. */
export type SettingKind = 'text' | 'secret' | 'integer' | 'list' | 'integers' | 'json' | 'boolean'

export interface SettingFacts {
  readonly kind: SettingKind
  /** What it does, for the reference. */
  readonly about: string
  /** What a value must be: the end of "must be ...". */
  readonly expects: string
  /** The default in words, where the schema doesn't hold it. */
  readonly otherwise?: string
}

/** Gives the end of a sentence about what is wrong with a text, or undefined. */
type FaultOf = (text: string) => string | undefined

const facts = new WeakMap<z.ZodType, SettingFacts>()

/** What was said about a setting. @throws TypeError for a schema that was not made here: a mistake of ours. */
export function settingFacts(schema: z.ZodType): SettingFacts {
  const found = facts.get(schema)
  if (found === undefined) throw new TypeError('a setting without facts')
  return found
}

export function setting<Schema extends z.ZodType>(schema: Schema, its: SettingFacts): Schema {
  const described = schema.describe(its.about)
  // Registered, not put into `.meta()`: what else the reference needs has no place in the published JSON Schema.
  facts.set(described, its)
  return described
}

export function integer(range: { readonly min: number; readonly max: number; readonly by: number }, about: string) {
  return setting(z.int().min(range.min).max(range.max).default(range.by), {
    kind: 'integer',
    about,
    expects: `a whole number from ${range.min} to ${range.max}`,
  })
}

export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return { schema: z.enum(values), expects: `one of ${values.join(', ')}` }
}

/** A text that `fault` finds nothing wrong with. */
export function textWithout(fault: FaultOf) {
  return z
    .string()
    .min(1)
    .max(4096)
    .superRefine((text, context) => {
      const found = fault(text)
      if (found !== undefined) context.addIssue({ code: 'custom', message: found })
    })
}

/** A secret of which `faults` finds nothing wrong. Its value is wrapped where it is read; nothing below sees text. */
export function secret(about: string, faults: (value: Secret) => readonly string[], otherwise = 'not set') {
  const schema = z
    .instanceof(Secret)
    .superRefine((value, context) => {
      const found = value.isEmpty() ? ['must not be empty'] : faults(value)
      for (const message of found) context.addIssue({ code: 'custom', message })
    })
    .optional()
  return setting(schema, { kind: 'secret', about, expects: 'text', otherwise })
}

export function list(fault: FaultOf, expects: string, about: string) {
  return setting(z.array(textWithout(fault)).max(100).default([]), { kind: 'list', about, expects })
}
