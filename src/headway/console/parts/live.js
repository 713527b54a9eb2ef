// @ts-check
// What runs and waits, as the gateway sends it once a second.

import { signal } from '../vendor/libraries.js'
import { ask, gatewayLost, loadSession } from './session.js'

/** @typedef {Record<string, any>} Live see LiveView in gateway/console/views.py */

/** @type {import('../vendor/libraries.js').Signal<Live | null>} */
export const live = signal(null)

/**
 * How many ran and waited at the last looks, for the chart: seconds, running, waiting.
 * @type {import('../vendor/libraries.js').Signal<number[][]>}
 */
export const trend = signal([[], [], []])
const MOST_POINTS = 720
const EVERY_S = 4.5

/** What of the waiting requests is asked for. */
export const asked = { first: 0, rows: 50, tier: '', find: '' }

/** @type {EventSource | null} */
let source = null
let watching = false
let silence = 0

/** Begin to watch; what it returns ends it. */
export function watch() {
  watching = true
  connect()
  past()
  const turned = () => (document.hidden ? disconnect() : connect())
  document.addEventListener('visibilitychange', turned)
  return () => {
    watching = false
    document.removeEventListener('visibilitychange', turned)
    disconnect()
  }
}

/** Ask for other rows. @param {Partial<typeof asked>} wanted */
export function look(wanted) {
  const before = JSON.stringify(asked)
  Object.assign(asked, wanted)
  if (JSON.stringify(asked) !== before && watching) connect()
}

function disconnect() {
  source?.close()
  source = null
  clearTimeout(silence)
}

function connect() {
  disconnect()
  if (document.hidden) return
  const query = new URLSearchParams(Object.entries(asked).map(([name, value]) => [name, `${value}`]))
  const opened = source = new EventSource(`console/api/live?${query}`)
  opened.onmessage = event => {
    gatewayLost.value = ''
    clearTimeout(silence)
    silence = setTimeout(lost, SILENT_MS)
    const seen = JSON.parse(event.data)
    live.value = seen
    remember(seen)
  }
  opened.addEventListener('refused', () => { disconnect(); loadSession() })
  opened.onerror = lost
}

const SILENT_MS = 15_000
const AGAIN_MS = 2_000

/** The connection is gone: says so, and tries again until the gateway answers. */
function lost() {
  if (!watching) return
  disconnect()
  gatewayLost.value = 'The connection is lost, so this is how it was; trying again …'
  setTimeout(async () => {
    if (!watching || source) return
    await loadSession(false)
    connect()
  }, AGAIN_MS)
}

/** What was before this page was opened. */
async function past() {
  try {
    const { unix_s, running, waiting } = await ask('console/api/trend')
    trend.value = [unix_s, running, waiting]
  } catch { /* the stream says what is wrong */ }
}

/** @param {Live} seen */
function remember({ unix_s, running, waiting, others }) {
  const [times, ran, waited] = trend.value
  const last = times[times.length - 1] ?? 0
  if (unix_s < last) return // a clock that was set back
  const from = times.length >= MOST_POINTS ? 1 : 0
  // Between two points of the gateway's own, the last one moves along.
  const to = times.length > 1 && last - times[times.length - 2] < EVERY_S ? -1 : undefined
  trend.value = [
    [...times.slice(from, to), unix_s],
    [...ran.slice(from, to), running + others.running],
    [...waited.slice(from, to), waiting + others.waiting]
  ]
}
