import { describe, expect, it } from 'vitest'
import { either, fields, listOf, number, oneOf, text, variants } from './shapes.ts'

describe('a shape', () => {
  const shape = fields(
    {
      model: text,
      turns: listOf(variants('role', { user: fields({ role: text, said: text }), tool: fields({ role: text, id: number(1, 5) }) }), 1),
    },
    { pace: oneOf('slow', 'fast'), stop: either(text, listOf(text)) },
  )
  const good = { model: 'm', turns: [{ role: 'user', said: 'x' }] }

  it.each([good, { ...good, pace: null }, { ...good, stop: 'x' }, { ...good, stop: ['x'] }, { ...good, turns: [{ role: 'tool', id: 5 }] }])(
    'takes %j',
    (value) => {
      expect(shape(value, '')).toBeUndefined()
    },
  )

  it.each([
    [{ turns: [] }, 'missing', 'model'],
    [{ ...good, turns: [] }, 'wrong', 'turns'],
    [{ ...good, more: 1 }, 'unknown', 'more'],
    [{ ...good, turns: [{ role: 'user' }] }, 'missing', 'turns.0.said'],
    [{ ...good, turns: [{ role: 'toString' }] }, 'wrong', 'turns.0.role'],
    [{ ...good, turns: [{ role: 'tool', id: 6 }] }, 'wrong', 'turns.0.id'],
    [{ ...good, pace: 'other' }, 'wrong', 'pace'],
    [{ ...good, stop: [1] }, 'wrong', 'stop.0'],
    [{ ...good, constructor: 1 }, 'unknown', 'constructor'],
    [[], 'wrong', ''],
    [null, 'wrong', ''],
  ])('refuses %j as %s at %j', (value, kind, at) => {
    expect(shape(value, '')).toMatchObject({ kind, at })
  })
})
