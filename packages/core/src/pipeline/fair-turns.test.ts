import { describe, expect, it } from 'vitest'
import { FairTurns } from './fair-turns.ts'
import type { FairTurnsOptions, Leave } from './fair-turns.ts'

/** Enters, and notes by name who has a place and who was sent away. */
function stage(options: FairTurnsOptions) {
  const turns = new FairTurns(options)
  const inside: { name: string; leave: Leave }[] = []
  const refused: string[] = []
  return {
    turns,
    refused,
    names: () => inside.map(({ name }) => name),
    async come(lane: string, name = lane) {
      const entered = turns.enter(lane)
      const note = (leave: Leave | undefined) => void (leave === undefined ? refused.push(name) : inside.push({ name, leave }))
      if (entered instanceof Promise) void entered.then(note)
      else note(entered)
      await Promise.resolve()
    },
    /** The one that has been inside longest goes. */
    async go() {
      inside.shift()!.leave()
      await Promise.resolve()
      await Promise.resolve()
    },
  }
}

describe('turns at something that many share', () => {
  it('S96 leave places to others, however many of one lane come', async () => {
    const at = stage({ width: 4, perLane: 3, queue: 100 })
    for (let i = 0; i < 50; i++) await at.come('loud', `loud ${i}`)
    expect(at.names()).toEqual(['loud 0', 'loud 1', 'loud 2'])
    await at.come('quiet')
    expect(at.names()).toContain('quiet')
  })

  it('S96 go round the lanes: who comes alone waits for one turn and not for the crowd', async () => {
    const at = stage({ width: 1, queue: 100 })
    for (let i = 0; i < 50; i++) await at.come('loud', `loud ${i}`)
    await at.come('quiet')
    await at.go()
    await at.go()
    expect(at.names()).toEqual(['quiet'])
  })

  it('S96 are waited for by the crowd in smaller number when somebody else comes to a full queue', async () => {
    const at = stage({ width: 1, queue: 5 })
    for (let i = 0; i < 7; i++) await at.come('loud', `loud ${i}`)
    expect(at.refused).toEqual(['loud 6'])
    await at.come('quiet')
    await Promise.resolve()
    expect(at.refused).toEqual(['loud 6', 'loud 5'])
    expect(at.turns.waiting).toBe(5)
  })

  it('are taken over in order within a lane, and by somebody else when the next in line may not', async () => {
    const at = stage({ width: 2, perLane: 1, queue: 10 })
    await at.come('a', 'a1')
    await at.come('b', 'b1')
    await at.come('a', 'a2')
    await at.come('b', 'b2')
    await at.come('b', 'b3')
    // a1 stays; b1 goes.
    const [a1] = at.names()
    expect(a1).toBe('a1')
    await at.go()
    expect(at.names()).toEqual(['b1', 'a2'])
    await at.go()
    expect(at.names()).toEqual(['a2', 'b2'])
    await at.go()
    expect(at.names()).toEqual(['b2'])
    await at.go()
    expect(at.names()).toEqual(['b3'])
  })

  it('are not waited for longer than that', async () => {
    const turns = new FairTurns({ width: 1, queue: 10, patienceMs: 20 })
    const leave = turns.enter('a') as Leave
    expect(await turns.enter('b')).toBeUndefined()
    await expect(turns.run('b', async () => 1)).rejects.toMatchObject({ code: 'queue_full' })
    leave()
    leave()
    expect(await turns.run('b', async () => 1)).toBe(1)
    expect(turns.waiting).toBe(0)
  })

  it('are given back by what fails', async () => {
    const turns = new FairTurns({ width: 1, queue: 0 })
    await expect(turns.run('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    expect(await turns.run('a', () => Promise.resolve(1))).toBe(1)
  })
})
