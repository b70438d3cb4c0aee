/**
 * Owns where a model lies at Gemini's API and at Vertex AI. Refuses a name that would lead out of its place in a path.
 */
import type { ModelPath } from './gemini.ts'
import { invalid } from './translation-error.ts'

const NAME = /^[A-Za-z0-9](?:[\w.@-]{0,127})$/u
const MODEL = /^(?:(?<kind>models|tunedModels)\/)?(?<name>[^/]+)$/u
const RESOURCE = /^projects\/[^/]+\/locations\/[^/]+\/(?:publishers\/[^/]+\/models|endpoints)\/[^/]+$/u

/** `gemini-2.5-flash`, `models/…` or `tunedModels/…`. */
export const geminiPath: ModelPath = (model) => {
  const { kind = 'models', name = '' } = MODEL.exec(model)?.groups ?? {}
  if (!NAME.test(name)) throw invalid('model', 'This is no name of a model of this provider.')
  return `/v1beta/${kind}/${name}`
}

/**
 * A model's full name at Vertex AI, `projects/{project}/locations/{location}/publishers/google/models/{model}`; or the model's own name, where the
 * project and the location are settings.
 */
export function vertexPath({ project, location }: Readonly<Record<string, string>>): ModelPath {
  return (model) => {
    // Of a key that was kept before there was this setting, or whose file names no project.
    if (project === undefined && !model.includes('/')) {
      throw invalid(
        'model',
        'The key of this provider names no project: rotate it, give it the setting project, or name the model projects/{project}/locations/{location}/publishers/google/models/{model}.',
      )
    }
    const full =
      model.includes('/') || location === undefined ? model : `projects/${project}/locations/${location}/publishers/google/models/${model}`
    if (!RESOURCE.test(full) || !full.split('/').every((segment) => NAME.test(segment)))
      throw invalid('model', 'For this provider it is projects/{project}/locations/{location}/publishers/google/models/{model}.')
    return `/v1/${full}`
  }
}
