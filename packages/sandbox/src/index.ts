/** Local providers to connect to without an account anywhere: emulated GitHub and Google behind strict fronts. See README.md. */
export { startSandbox, type Sandbox, type SandboxOptions, type SandboxProvider } from './sandbox.ts'
export { browserFor, submitFirstForm } from './browser.ts'
export { readForms, signIn } from './sign-in.ts'
