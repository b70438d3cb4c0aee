/**
 * Owns the form of an object whose unknown fields are faults. Refuses them by name, unless they hold null: clients hand back what they were given, with
 * every field that their library knows.
 */
import { z } from 'zod'

/** Like zod's own strict object, but for fields that are null. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.looseObject(shape).superRefine((value, context) => {
    const unknown = Object.keys(value).find((key) => !Object.hasOwn(shape, key) && value[key] !== null && value[key] !== undefined)
    if (unknown !== undefined) context.addIssue({ code: 'unrecognized_keys', keys: [unknown], input: value })
  })
}
