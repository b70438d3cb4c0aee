/** Moments, in the reader's own zone and language, with the exact one for machines. */

const NEAR = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', second: '2-digit' })
const FAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' })

const NEAR_MINUTE = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' })

/** Today's moments show the time alone. `toTheMinute`: of one that is known no closer. */
export function Moment({ at, toTheMinute = false }: { readonly at: string; readonly toTheMinute?: boolean }) {
  const moment = new Date(at)
  const today = moment.toDateString() === new Date().toDateString()
  return (
    <time dateTime={at} title={moment.toLocaleString()} className="whitespace-nowrap tabular-nums">
      {(today ? (toTheMinute ? NEAR_MINUTE : NEAR) : FAR).format(moment)}
    </time>
  )
}
