/** Owns rows of CSV (RFC 4180), safe to open in a spreadsheet. Refuses to leave a cell that begins a formula as it is. */

/** What spreadsheets take for the beginning of a formula, also behind white space; fullwidth signs are read as their plain ones. */
const FORMULA = /^\s*[=+\-@|%\uFF1D\uFF0B\uFF0D\uFF20]|^[\t\r\n]/u
const QUOTED = /[",\r\n]/u

/** One row with its end. A cell that could be taken for a formula is kept as text by an apostrophe before it; NUL, which CSV can't hold, is dropped. */
export function csvRow(cells: readonly string[]): string {
  return `${cells.map(cell).join(',')}\r\n`
}

function cell(value: string): string {
  const text = value.includes('\0') ? value.replaceAll('\0', '') : value
  const safe = FORMULA.test(text) ? `'${text}` : text
  return QUOTED.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe
}
