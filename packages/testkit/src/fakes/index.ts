/** Providers that nobody emulates, after what they publish. */
export { startFakeServer } from './fake-server.ts'
export type { Asked, FakeServer, Interference, Said } from './fake-server.ts'
export { startFakeReddit } from './reddit.ts'
export type { FakeEndpoint, FakeReddit, FakeRedditOptions } from './reddit.ts'
export { startFakeX } from './x.ts'
export type { FakeX, FakeXOptions } from './x.ts'
