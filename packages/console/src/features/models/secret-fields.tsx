/** What of a provider's key is typed in: its secret in the form the provider has, and what else it needs. The same for a first key and for its successor. */
import type { ModelProvider } from '../../api/resources.ts'
import { TextAreaField, TextField } from '../../ui/field.tsx'
import { textOf } from '../../ui/form.ts'

const SEALED = 'Sealed on arrival, and never shown again.'
const MOST = 16_384
const SETTING = 'setting.'

const LONG_SECRETS: Readonly<Record<Exclude<ModelProvider['credential'], 'key'>, readonly [string, string]>> = {
  aws: ['Access key', `{"access_key_id": "…", "secret_access_key": "…"}. ${SEALED}`],
  google_service_account: ['Service account', `The JSON file of its key. ${SEALED}`],
}

interface SecretFieldsProps {
  readonly provider: ModelProvider
  /** Of the key that is replaced. */
  readonly settings?: Readonly<Record<string, string>>
}

export function SecretFields({ provider, settings = {} }: SecretFieldsProps) {
  return (
    <>
      <SecretField credential={provider.credential} />
      {provider.settings.map(({ name, description, required }) => (
        <TextField
          key={name}
          name={SETTING + name}
          label={name}
          hint={description}
          required={required}
          defaultValue={settings[name]}
          maxLength={63}
          mono
        />
      ))}
    </>
  )
}

function SecretField({ credential }: Pick<ModelProvider, 'credential'>) {
  if (credential === 'key') {
    return (
      <TextField
        name="secret"
        label="Key"
        hint={SEALED}
        type="password"
        autoComplete="new-password"
        required
        minLength={8}
        maxLength={MOST}
        mono
      />
    )
  }
  const [label, hint] = LONG_SECRETS[credential]
  return <TextAreaField name="secret" label={label} hint={hint} required rows={5} maxLength={MOST} mono />
}

/** What was typed; settings that were left empty are not said. */
export function secretOf(form: FormData, provider: ModelProvider): { secret: string; settings: Record<string, string> } {
  const typed = provider.settings.map(({ name }) => [name, textOf(form, SETTING + name).trim()] as const)
  return { secret: textOf(form, 'secret').trim(), settings: Object.fromEntries(typed.filter(([, value]) => value !== '')) }
}
