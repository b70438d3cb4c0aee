/** Moments, in the reader's own zone and language, with the exact one for machines. */

const NEAR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const FAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })

/** Today's moments show the time alone. */
export function Moment({ at }: { readonly at: string }) {
  const moment = new Date(at)
  const today = moment.toDateString() === new Date().toDateString()
  return (
    <time dateTime={at} title={moment.toLocaleString()} className="whitespace-nowrap tabular-nums">
      {(today ? NEAR : FAR).format(moment)}
    </time>
  )
}
