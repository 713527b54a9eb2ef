// @ts-check
// Times and money of what was served.

import { seconds } from '../../parts/format.js'

const DAY = new Intl.DateTimeFormat(undefined, {
  month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit'
})

/** @param {number} unix_s */
export function when(unix_s) {
  const at = new Date(unix_s * 1000)
  return Number.isNaN(at.getTime()) ? '–' : DAY.format(at)
}

/** @param {number | null | undefined} value a duration, such as `340 ms` or `4.2 s` */
export function ms(value) {
  if (value == null) return '–'
  if (value === 0) return '0'
  if (value < 10) return `${value.toFixed(1)} ms`
  if (value < 1000) return `${Math.round(value)} ms`
  return seconds(value / 1000)
}

/** @param {number | null | undefined} value in the currency of the prices */
export function cost(value) {
  if (value == null) return '–'
  if (value === 0) return '0'
  return value < 0.01 ? value.toPrecision(2) : value.toFixed(2)
}
