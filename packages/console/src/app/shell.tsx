/** The frame around every screen of a tenant: where you are, where you can go, and the way out. */
import { useMutation, useQuery } from '@tanstack/react-query'
import { Link, Outlet, useLocation } from '@tanstack/react-router'
import { useEffect, useId, useState } from 'react'
import { ENVIRONMENTS } from '@sallyport/contract'
import type { OperationName } from '@sallyport/contract'
import { api } from '../api/client.ts'
import { isSignedOut, whoamiQuery } from '../api/queries.ts'
import { Button } from '../ui/button.tsx'
import { classes } from '../ui/classes.ts'
import {
  AuditIcon,
  ConnectionsIcon,
  IntegrationsIcon,
  KeysIcon,
  Mark,
  MenuIcon,
  ModelsIcon,
  OverviewIcon,
  RequestsIcon,
  SettingsIcon,
  UsageIcon,
} from '../ui/icons.tsx'
import { FailureNotice } from '../ui/notice.tsx'
import { rememberPlace, usePlace } from './place.ts'
import { ProjectSwitch } from './project-switch.tsx'
import { endSession } from './query-client.ts'
import { useMay } from './role.ts'

interface Screen {
  readonly to: `/$org/$project/$environment${'' | `/${Address}`}`
  readonly label: string
  readonly Icon: () => React.ReactNode
  /** What it can't do without: people who may not have it do not see the screen. */
  readonly needs?: OperationName
}

type Address = 'connections' | 'integrations' | 'models' | 'keys' | 'requests' | 'usage' | 'audit' | 'settings'

const SCREENS: readonly Screen[] = [
  { to: '/$org/$project/$environment', label: 'Overview', Icon: OverviewIcon },
  { to: '/$org/$project/$environment/connections', label: 'Connections', Icon: ConnectionsIcon },
  { to: '/$org/$project/$environment/integrations', label: 'Integrations', Icon: IntegrationsIcon },
  { to: '/$org/$project/$environment/models', label: 'Models', Icon: ModelsIcon },
  { to: '/$org/$project/$environment/keys', label: 'API keys', Icon: KeysIcon },
  { to: '/$org/$project/$environment/requests', label: 'Requests', Icon: RequestsIcon },
  { to: '/$org/$project/$environment/usage', label: 'Usage', Icon: UsageIcon },
  { to: '/$org/$project/$environment/audit', label: 'Audit', Icon: AuditIcon, needs: 'auditEventList' },
  { to: '/$org/$project/$environment/settings', label: 'Settings', Icon: SettingsIcon, needs: 'settingsGet' },
]

export function Shell() {
  const place = usePlace()
  const menu = useId()
  const [open, setOpen] = useState(false)
  const { pathname } = useLocation()
  useEffect(() => setOpen(false), [pathname])
  useEffect(() => rememberPlace(place), [place.org, place.project, place.environment])
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[15.5rem_minmax(0,1fr)]">
      <a href="#screen" className="absolute left-2 -top-20 z-10 rounded-lg bg-act px-3 py-2 text-sm font-semibold text-on-act focus:top-2">
        Skip to the screen
      </a>
      <header className="border-b border-line bg-card lg:sticky lg:top-0 lg:flex lg:h-dvh lg:flex-col lg:overflow-y-auto lg:border-r lg:border-b-0">
        <div className="flex items-center justify-between px-4 py-3 lg:px-5 lg:pt-6 lg:pb-4">
          <Link to="/$org/$project/$environment" params={place} className="flex items-center gap-2.5 font-semibold tracking-tight">
            <Mark />
            Sallyport
          </Link>
          <button
            type="button"
            aria-expanded={open}
            aria-controls={menu}
            onClick={() => setOpen(!open)}
            className="flex items-center gap-2 rounded-lg px-3 py-2 text-sm font-semibold hover:bg-sunken lg:hidden"
          >
            <MenuIcon />
            Menu
          </button>
        </div>
        <div id={menu} className={classes('px-3 pb-4 lg:flex lg:grow lg:flex-col', !open && 'max-lg:hidden')}>
          <ProjectSwitch />
          <EnvironmentSwitch />
          <Navigation onChoose={() => setOpen(false)} />
          <Account />
        </div>
      </header>
      <main id="screen" tabIndex={-1} className="mx-auto w-full max-w-6xl px-4 py-6 outline-none sm:px-8 lg:py-10">
        <Outlet />
      </main>
    </div>
  )
}

function EnvironmentSwitch() {
  const { environment: current } = usePlace()
  return (
    <nav aria-label="Environment" className="mx-2 mt-3 grid grid-cols-2 gap-1 rounded-xl bg-sunken p-1">
      {ENVIRONMENTS.map((environment) => (
        <Link
          key={environment}
          to="."
          params={(params: object) => ({ ...params, environment })}
          aria-current={environment === current ? 'true' : undefined}
          className={classes(
            'rounded-lg py-1.5 text-center text-sm font-semibold capitalize',
            environment === current ? 'bg-raised text-ink shadow-sm' : 'text-dim hover:text-ink',
          )}
        >
          {environment}
        </Link>
      ))}
    </nav>
  )
}

function Navigation({ onChoose }: { readonly onChoose: () => void }) {
  const place = usePlace()
  const may = useMay()
  const screens = SCREENS.filter(({ needs }) => needs === undefined || may(needs))
  return (
    <nav aria-label="Screens" className="mt-5">
      <ul className="space-y-0.5">
        {screens.map(({ to, label, Icon }) => (
          <li key={to}>
            <Link
              to={to}
              params={place}
              onClick={onChoose}
              activeOptions={{ exact: label === 'Overview' }}
              className="flex items-center gap-3 rounded-lg px-3 py-2 text-sm font-medium text-dim hover:bg-sunken hover:text-ink aria-[current=page]:bg-act-soft aria-[current=page]:font-semibold aria-[current=page]:text-act"
            >
              <Icon />
              {label}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}

function Account() {
  const { data: person } = useQuery(whoamiQuery)
  const signOut = useMutation({
    mutationFn: () => api.call('sessionDelete'),
    onSuccess: endSession,
  })
  return (
    <div className="mt-5 border-t border-line px-2 pt-4 lg:mt-auto">
      {signOut.error !== null && !isSignedOut(signOut.error) && <FailureNotice error={signOut.error} />}
      <div className="flex items-center justify-between gap-2">
        <p className="min-w-0 truncate text-sm text-dim">{person?.name ?? person?.id}</p>
        <Button look="quiet" busy={signOut.isPending} onClick={() => signOut.mutate()}>
          Sign out
        </Button>
      </div>
    </div>
  )
}
