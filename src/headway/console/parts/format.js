// @ts-check
// Numbers, times and money as people read them.

/** @param {number | null | undefined} value @returns {string} a time, such as `4.2 s` or `3 min` */
export function seconds(value) {
  if (value == null) return '–'
  if (value < 9.95) return `${value.toFixed(1)} s`
  if (value < 120) return `${Math.round(value)} s`
  if (value < 7200) return `${Math.round(value / 60)} min`
  if (value < 48 * 3600) return `${(value / 3600).toFixed(1)} h`
  return `${Math.round(value / 86400)} days`
}

const GROUPED = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })

/** @param {number | null | undefined} value @returns {string} a whole number, such as `10,000` */
export function count(value) {
  return value == null ? '–' : GROUPED.format(value)
}

/** @param {number} value @param {string} one @param {string} [many] */
export function plural(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`
}

/** @param {number} low @param {number} high @returns {string} `80–420`, or `80` */
export function between(low, high) {
  return low === high ? count(low) : `${count(low)}–${count(high)}`
}

const DAY = new Intl.DateTimeFormat(undefined, {
  month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23'
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
