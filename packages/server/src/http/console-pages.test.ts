import { describe, expect, it } from 'vitest'
import { homeOf } from './console-pages.ts'

const HOME = 'http://127.0.0.1:7255'

describe('a browser that came to the console by another name', () => {
  it.each([
    ['localhost:7255', HOME, HOME],
    ['[::1]:7255', HOME, HOME],
    ['127.0.0.1:7255', 'http://localhost:7255', 'http://localhost:7255'],
  ])('of this machine (%s) is sent home', (host, publicUrl, home) => {
    expect(homeOf(host, publicUrl)).toBe(home)
  })

  // The risk: a loop, or a redirect that a Host header chooses.
  it.each([
    ['127.0.0.1:7255', HOME],
    ['localhost:7256', HOME],
    ['evil.test:7255', HOME],
    ['localhost:7255', 'https://gateway.test'],
    ['gateway.test', 'https://gateway.test'],
    ['', HOME],
    ['a b', HOME],
    [undefined, HOME],
  ])('%s for %s stays where it is', (host, publicUrl) => {
    expect(homeOf(host, publicUrl)).toBeUndefined()
  })
})
