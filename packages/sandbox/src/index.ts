/** Local providers without an account anywhere: emulated GitHub and Google behind strict fronts, and vendors of models. See README.md. */
export { startSandbox, type Sandbox, type SandboxModels, type SandboxOptions, type SandboxProvider } from './sandbox.ts'
export { browserFor, submitFirstForm } from './browser.ts'
export { readForms, signIn } from './sign-in.ts'
export * from './models/index.ts'
