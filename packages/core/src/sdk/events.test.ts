import { describe, expect, it } from 'vitest'
import { createLogger } from '../observability/index.ts'
import { Events } from './events.ts'

describe('listeners of events', () => {
  it('L-04 break nothing, whether they fail at once or later, and the next one hears all the same', async () => {
    const lines: string[] = []
    const events = new Events(createLogger({ level: 'warn', format: 'json', write: (line) => lines.push(line) }))
    const heard: string[] = []
    events.on('provider_up', () => {
      throw new Error('at once')
    })
    // An application passes what it has; the types let an asynchronous function stand where nothing is given back.
    const later: () => unknown = () => Promise.reject(new Error('later'))
    events.on('provider_up', later)
    events.on('provider_up', ({ provider }) => void heard.push(provider))
    events.tell('provider_up', { provider: 'github' })
    expect(heard).toEqual(['github'])
    await expect.poll(() => lines.map((line) => (JSON.parse(line) as { event?: string }).event)).toEqual(['provider_up', 'provider_up'])
  })
})
