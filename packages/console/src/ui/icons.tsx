/** The console's few icons, drawn here so that nothing is loaded. All are decoration: the words beside them say the same. */
import type { ReactNode } from 'react'

function Icon({ children, size = 18 }: { readonly children: ReactNode; readonly size?: number }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
      className="shrink-0"
    >
      {children}
    </svg>
  )
}

export const CloseIcon = () => (
  <Icon>
    <path d="m5 5 10 10M15 5 5 15" />
  </Icon>
)

export const MenuIcon = () => (
  <Icon size={20}>
    <path d="M3 6h14M3 10h14M3 14h14" />
  </Icon>
)

export const OverviewIcon = () => (
  <Icon>
    <path d="M3 3h6v7H3zM11 3h6v4h-6zM11 10h6v7h-6zM3 13h6v4H3z" />
  </Icon>
)

export const ConnectionsIcon = () => (
  <Icon>
    <path d="M8.5 11.5a3.5 3.5 0 0 0 5 0l2.4-2.4a3.5 3.5 0 0 0-5-5L9.8 5.2M11.5 8.5a3.5 3.5 0 0 0-5 0l-2.4 2.4a3.5 3.5 0 0 0 5 5l1.1-1.1" />
  </Icon>
)

export const IntegrationsIcon = () => (
  <Icon>
    <path d="M7 2.5v4M13 2.5v4M4.5 6.5h11v3a5.5 5.5 0 0 1-11 0zM10 15v3" />
  </Icon>
)

export const KeysIcon = () => (
  <Icon>
    <circle cx="6.5" cy="13.5" r="3.5" />
    <path d="m9 11 7.5-7.5M13.5 6.5 16 9" />
  </Icon>
)

export const RequestsIcon = () => (
  <Icon>
    <path d="M3 7h13m0 0-3.5-3.5M16 7l-3.5 3.5M17 13H4m0 0 3.5-3.5M4 13l3.5 3.5" />
  </Icon>
)

export const AuditIcon = () => (
  <Icon>
    <path d="M10 2.5 4 5v4.6c0 3.7 2.5 6.5 6 7.9 3.5-1.4 6-4.2 6-7.9V5z" />
    <path d="m7.5 9.8 1.8 1.8 3.2-3.4" />
  </Icon>
)

export const ModelsIcon = () => (
  <Icon>
    <path d="M10 2.5 11.8 8.2 17.5 10l-5.7 1.8L10 17.5l-1.8-5.7L2.5 10l5.7-1.8z" />
  </Icon>
)

export const UsageIcon = () => (
  <Icon>
    <path d="M3 17h14M5.5 17v-5M10 17V4M14.5 17V8.5" />
  </Icon>
)

export const SettingsIcon = () => (
  <Icon>
    <path d="M3 6h7M14 6h3M3 14h3M10 14h7" />
    <circle cx="12" cy="6" r="2" />
    <circle cx="8" cy="14" r="2" />
  </Icon>
)

/** The gate, and the way out through it. */
export const Mark = ({ size = 28 }: { readonly size?: number }) => (
  <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false" className="shrink-0 text-act">
    <rect width="32" height="32" rx="8" fill="currentColor" />
    <g fill="none" className="stroke-on-act" strokeWidth="2.5" strokeLinecap="round" strokeLinejoin="round">
      <path d="M8 25V14a8 8 0 0 1 16 0v11" />
      <path d="M13 18h9m0 0-3.5-3.5M22 18l-3.5 3.5" />
    </g>
  </svg>
)
