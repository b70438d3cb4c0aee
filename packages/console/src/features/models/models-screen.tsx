/** What calls to models need: keys of their providers, whose keys they go out with, and the names that stand for models. */
import { Page } from '../../ui/page.tsx'
import { useMay } from '../../app/role.ts'
import { KeyMode } from './key-mode.tsx'
import { ProviderKeys } from './provider-keys.tsx'
import { Routes } from './routes.tsx'

export function ModelsScreen() {
  const may = useMay()
  return (
    <Page
      title="Models"
      about="Your application calls models with its Sallyport key. The keys of their providers are kept here, and never given out again."
    >
      <ProviderKeys />
      {may('settingsGet') && <KeyMode />}
      <Routes />
    </Page>
  )
}
