/** Owns the choice of the database under an end-to-end test: the gateway's own in one project, one given by URL in the other. */

/** The administrative URL to hand to the gateway's harness; undefined where the embedded database is the one under test. */
export function serverUnderTest(postgresUrl: string): string | undefined {
  return process.env['SALLYPORT_TEST_HOME'] === 'url' ? postgresUrl : undefined
}
