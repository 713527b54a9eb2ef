// @ts-check
// The slots of a backend, by what runs in each.

import { html } from '../../vendor/libraries.js'
import { between, plural, seconds } from '../../parts/format.js'
import { openRequest } from './request.js'

const MOST_EMPTY = 64

/** @param {{slots: number, running: number, runs: any[]}} props */
export function Slots({ slots, running, runs }) {
  const empty = Math.max(0, Math.min(MOST_EMPTY, slots - running))
  return html`<ul class="slots">
    ${runs.map(run => html`<li key=${run.id}><${Slot} run=${run}/></li>`)}
    ${Array.from({ length: empty }, (_, number) => html`<li class="free" key=${`free-${number}`}><span class="unseen">free</span></li>`)}
  </ul>`
}

/** @param {{run: any}} props */
function Slot({ run }) {
  const whole = Math.max(1, run.output_tokens + Math.max(run.rest_high, run.rest_tokens))
  /** @param {number} tokens */
  const share = tokens => `${Math.min(100, 100 * tokens / whole).toFixed(1)}%`
  const from = run.output_tokens + run.rest_low
  return html`<button class=${`slot ${run.tier}`} onClick=${() => openRequest(run)}
      title=${`${run.id}: ${run.tier}, ${run.tenant || 'no tenant'}, ${run.model}; ${plural(run.output_tokens, 'output token')}, ${between(run.rest_low, run.rest_high)} to come, about ${seconds(run.rest_s)} left`}>
    <span class="who">${run.tenant || run.model}</span>
    <span class="track" aria-hidden="true">
      <i class="done" style=${{ width: share(run.output_tokens) }}></i>
      <i class="range" style=${{ left: share(from), right: '0' }}></i>
    </span>
    <small>${plural(run.output_tokens, 'token')}</small><small>${seconds(run.rest_s)} left</small>
    <small class="whole">${between(run.rest_low, run.rest_high)} to come</small>
  </button>`
}
