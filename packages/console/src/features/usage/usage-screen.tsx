/** What model calls used and cost, added up as the reader asks, and the budgets that bound it. */
import { Page } from '../../ui/page.tsx'
import { Budgets } from './budgets.tsx'
import { Calls } from './calls.tsx'
import { Report } from './report.tsx'

export function UsageScreen() {
  return (
    <Page title="Usage" about="What calls to models used and cost. Nothing of what was asked or answered is in it.">
      <Report />
      <Budgets />
      <Calls />
    </Page>
  )
}
