/** What the terms of a budget mean, in the words of the person who sets it. */
import type { Budget } from '../../api/resources.ts'

export const PERIOD_WORDS: Readonly<Record<Budget['period'], string>> = {
  day: 'a day',
  month: 'a month',
  total: 'in total',
}

export const ENFORCEMENT_WORDS: Readonly<Record<Budget['enforcement'], string>> = {
  hard: 'Calls beyond it are refused',
  warn: 'Nothing is refused; that it is used up is put on record',
}

export const UNPRICED_WORDS: Readonly<Record<Budget['unpriced'], string>> = {
  refuse: 'Refuse them',
  pass: 'Let them out',
}
