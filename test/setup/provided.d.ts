import 'vitest'

/** What test/setup/servers.ts tells each integration project. */
declare module 'vitest' {
  export interface ProvidedContext {
    /** Administrative URL of the Postgres that the project runs on. */
    postgresUrl: string
    redisUrl: string
    chromiumPath: string
  }
}
