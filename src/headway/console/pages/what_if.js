// @ts-check
// What other settings would have done to recent traffic, or to that of a file.

import { html, signal, useEffect, useRef } from '../vendor/libraries.js'
import { useAnswer } from '../parts/answer.js'
import { seconds } from '../parts/format.js'
import { seesAll, send } from '../parts/session.js'
import { eventsOf } from '../parts/stream.js'
import { Question, asAsked, question } from './what_if/question.js'
import { Result } from './what_if/result.js'

const ROUTE = 'console/api/what-if'

/**
 * @typedef {object} Work what is being answered
 * @property {string} doing
 * @property {number | null} share of it that is done; null: not known
 * @property {number} began_ms
 * @property {number} now_ms
 */

/** @type {import('../vendor/libraries.js').Signal<Work | null>} */
const work = signal(null)
/** The last answer stays while one looks at other pages. @type {import('../vendor/libraries.js').Signal<any>} */
const found = signal(null)
const wrong = signal('')
let stop = new AbortController()

export function Page() {
  const { answer: choices, error } = useAnswer(ROUTE)
  useEffect(() => () => stop.abort(), []) // nobody waits any more
  if (!seesAll()) {
    return html`<h1>What if</h1><p class="soft">It replays the traffic of all tenants, so it is for
      keys with <code>admin: true</code>.</p>`
  }
  const busy = work.value
  return html`<h1>What if</h1>
    <p class="soft intro">Replays traffic under other settings, in a process that takes only what
      serving leaves of the processor. Nothing that is served changes.</p>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${choices && html`<${Question} choices=${choices} busy=${busy !== null} onAsk=${ask}/>`}
    ${busy && html`<${Progress} work=${busy}/>`}
    ${wrong.value && html`<section class="refused" role="alert" aria-label="No answer"><h2>No answer</h2>
      <p>${wrong.value}</p></section>`}
    ${found.value && !busy && !wrong.value && html`<${Result} ...${found.value}/>`}`
}

/** @param {{work: Work}} props */
function Progress({ work }) {
  const { doing, share, began_ms: began, now_ms: now } = work
  const spent = (now - began) / 1000
  const place = useRef(/** @type {HTMLElement | null} */ (null))
  useEffect(() => place.current?.scrollIntoView({ block: 'nearest' }), [])
  const left = share !== null && share > 0.05 && spent > 2 ? `, about ${seconds(spent * (1 - share) / share)} left` : ''
  return html`<section class="work" aria-label="Progress" ref=${place}>
    <progress aria-label=${doing} max="1" value=${share ?? undefined}></progress>
    <div class="row"><span>${doing}${share === null ? '' : ` · ${Math.round(100 * share)}%`}
      <span class="soft"> ${seconds(spent)} so far${left}</span></span><span class="space"></span>
      <button class="danger" onClick=${() => stop.abort()}>Cancel</button></div></section>`
}

/** @param {any} choices */
async function ask(choices) {
  stop = new AbortController()
  const control = stop
  const began = Date.now()
  wrong.value = ''
  work.value = { doing: 'asking', share: null, began_ms: began, now_ms: began }
  const tick = setInterval(() => { if (work.value) work.value = { ...work.value, now_ms: Date.now() } }, 500)
  try {
    const { asked, file } = asAsked(question.value)
    const query = new URLSearchParams({ ask: JSON.stringify(asked) })
    const answer = await send(`${ROUTE}?${query}`, { method: 'POST', body: file, signal: control.signal })
    let last = null
    for await (const event of eventsOf(answer)) {
      last = event
      if (last.doing) work.value = { doing: last.doing, share: last.share, began_ms: began, now_ms: Date.now() }
    }
    if (!last?.found) throw new Error('The connection ended before there was an answer; ask again.')
    found.value = { number: last.number, found: last.found, automatic: choices.automatic }
  } catch (error) {
    const lost = error instanceof TypeError
    if (!control.signal.aborted) {
      wrong.value = lost ? 'The connection is lost, so the replay has ended; ask again.' : /** @type {Error} */ (error).message
    }
  } finally {
    clearInterval(tick)
    work.value = null
  }
}
