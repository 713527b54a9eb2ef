// @ts-check
// The life of one request: what it did and when, its prediction against the truth, what it cost.

import { html } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { between, cost, count, ms, plural, when } from '../../parts/format.js'
import { LongText } from '../../parts/long_text.js'

/** @type {Record<string, string>} */
const ENDS = {
  preempted: 'preempted for another request', failed: 'its backend failed',
  moved: 'its backend went away', finished: 'finished', cancelled: 'its client left', rejected: 'rejected'
}
/** @type {Record<string, string>} */
const BY = {
  client: 'by its client', prompt: 'from its prompt', history: 'from answers to similar requests', '': ''
}

/** @param {{id: string}} props */
export function Life({ id }) {
  const { answer, error } = useAnswer(`v1/headway/history/${encodeURIComponent(id)}`)
  return html`<p><a href="#/history" onClick=${back}>Back to all requests</a></p>
    <h1>One request <small class="mono">${id}</small></h1>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${answer === null ? !error && html`<p class="soft" role="status">Looking …</p>` : html`
      <${Timeline} one=${answer}/>
      <div class="pair"><${Prediction} one=${answer}/><${Facts} one=${answer}/></div>
      ${answer.prompt !== null && html`<section aria-label="Prompt"><h2>Prompt</h2><${LongText} text=${answer.prompt}/></section>`}`}`
}

/** Back to the list as it was, if it is where one comes from. @param {Event} event */
function back(event) {
  if (history.length > 1 && document.referrer === '') {
    event.preventDefault()
    history.back()
  }
}

/** @param {{one: any}} props */
function Timeline({ one }) {
  const total = Math.max(one.total_ms ?? 0, ...one.timeline.map((/** @type {any} */ part) => part.ended_ms), 0.001)
  const batched = one.timeline.some((/** @type {any} */ part) => part.phase === 'batched')
  const queued = one.timeline.filter((/** @type {any} */ part) => part.phase === 'queued' || part.phase === 'stopped')
    .reduce((/** @type {number} */ sum, /** @type {any} */ part) => sum + part.ended_ms - part.began_ms, 0)
  return html`<section aria-label="What it did">
    <div class="row head"><h2>${when(one.arrival_unix_s)}</h2>
      <span class=${`outcome ${one.outcome}`}>${one.outcome}</span>
      <span class="soft">${one.total_ms !== null && `after ${ms(one.total_ms)}`} ${one.outcome !== 'finished' && one.reason}</span></div>
    ${one.message && html`<p>Its client was told: ${one.message}</p>`}
    ${one.timeline.length === 0 ? html`<p class="soft">It never waited and never ran.</p>` : html`
      <p>${batched ? `It waited for a batch and ran in it: ${ms(total)} together` : html`It waited ${ms(queued)}, ${' '}${Math.round(100 * queued / total)}% of its time`}${one.tier && `, in tier ${one.tier}`}${one.policy && `; at its end ${one.policy} ordered requests`}.</p>
      ${one.ahead && html`<p>${went(one.ahead)}</p>`}
      <div class="life" aria-hidden="true">${one.timeline.map((/** @type {any} */ part) => html`
        <i class=${part.phase} style=${{ left: `${100 * part.began_ms / total}%`, width: `${100 * (part.ended_ms - part.began_ms) / total}%` }}></i>`)}
      </div>
      <div class="wide" tabindex="0" role="region" aria-label="What it did, a table"><table class="stretches"><thead><tr><th scope="col">Phase</th><th scope="col">From</th><th scope="col">To</th>
        <th scope="col">Took</th><th scope="col">Backend</th><th scope="col">Output tokens</th><th scope="col">Ended because</th></tr></thead>
      <tbody>${one.timeline.map((/** @type {any} */ part) => html`<tr>
        <th scope="row"><i class=${`swatch ${part.phase}`}></i>${part.phase}</th>
        <td>${ms(part.began_ms)}</td><td>${ms(part.ended_ms)}</td><td>${ms(part.ended_ms - part.began_ms)}</td>
        <td><bdi>${part.backend}</bdi></td><td>${part.output_tokens === null ? '' : count(part.output_tokens)}</td>
        <td>${ENDS[part.why] ?? part.why}</td></tr>`)}</tbody></table></div>`}
  </section>`
}

/** Who went before it while it waited. @param {any} ahead @returns {string} */
function went(ahead) {
  const parts = [
    [ahead.higher_tiers, 'of higher tiers'], [ahead.came_before, 'that had come before it'],
    [ahead.came_later, 'that came later but went first'], [ahead.lower_tiers, 'of lower tiers']
  ].filter(([number]) => number).map(([number, what]) => `${count(number)} ${what}`)
  const ran = `${plural(ahead.ran, 'other')} ran when it came`
  const began = parts.length ? `before it began ${parts.join(', ')}` : 'none began before it'
  return `${ran}; ${began}${ahead.complete ? '' : ', of those that were looked at'}.`
}

/** @param {{one: any}} props */
function Prediction({ one }) {
  const { by, mean, low, high, again_at, last_mean, output_tokens } = one.prediction
  const most = Math.max(high ?? 0, mean ?? 0, output_tokens ?? 0, last_mean ?? 0, 1) * 1.05
  /** @param {number} tokens */
  const at = tokens => `${100 * tokens / most}%`
  const inside = low !== null && output_tokens !== null && low <= output_tokens && output_tokens <= high
  return html`<section aria-label="Prediction"><h2>Prediction and truth</h2>
    ${mean === null ? html`<p class="soft">Nothing was predicted.</p>` : html`
      <div class="interval" aria-hidden="true">
        ${low !== null && html`<i class="span" style=${{ left: at(low), width: at(high - low) }}></i>`}
        <i class="mean" style=${{ left: at(mean) }}></i>
        ${output_tokens !== null && html`<i class="truth" style=${{ left: at(output_tokens) }}></i>`}
      </div>
      <dl class="facts">
        <dt>Predicted</dt><dd>${count(mean)} output tokens${low !== null ? ` (80%: ${between(low, high)})` : ''}, before the first, ${BY[by] ?? by}</dd>
        ${again_at.length > 0 && html`<dt>Predicted again</dt><dd>at ${again_at.map(count).join(', ')} tokens; in the end ${count(last_mean)}</dd>`}
        <dt>Actual</dt><dd>${count(output_tokens)} tokens${low === null || one.outcome !== 'finished' ? '' : inside ? ', within the interval' : ', outside the interval'}</dd>
        ${one.max_tokens !== null && html`<dt>Limit</dt><dd>${count(one.max_tokens)} tokens</dd>`}
      </dl>`}</section>`
}

/** @param {{one: any}} props */
function Facts({ one }) {
  /** @type {[string, any][]} */
  const facts = [
    ['Tier', one.tier], ['Policy', one.policy], ['Model', one.model], ['Backend', one.backend],
    ['Tenant', one.tenant && html`<${Others} name="tenant" value=${one.tenant}/>`],
    ['API key', one.key && html`<${Others} name="key" value=${one.key}/>`],
    ['Run', one.program && html`<${Others} name="program" value=${one.program}/>`],
    ['Step', one.step], ['Batch', one.batch],
    ['Registered prompt', one.prompt_name && `${one.prompt_name}, version ${one.prompt_version}`],
    ['Prompt tokens', one.prompt_tokens === null ? '' : `${count(one.prompt_tokens)}${one.cached_tokens ? `, ${count(one.cached_tokens)} of them cached` : ''}`],
    ['Charged tokens', one.charged_tokens === null ? '' : count(one.charged_tokens)],
    ['Cost', one.cost === null ? '' : cost(one.cost)],
    ['Endpoint', one.endpoint && `${one.endpoint}${one.stream ? ', streamed' : ''}`],
    ['Status', `${one.status}`],
    ['Preemption', one.outcome === 'finished' && one.reason && `not possible: it ${one.reason}`],
    ...Object.entries(one.headers).map(([name, value]) => /** @type {[string, any]} */ (
      [name, html`<span class="mono"><bdi>${value}</bdi></span>`]))
  ]
  return html`<section aria-label="Facts"><h2>Facts</h2><dl class="facts">
    ${facts.filter(([, value]) => value).map(([name, value]) => html`<dt>${name}</dt><dd>${value}</dd>`)}
  </dl></section>`
}

/** A name, and the way to all requests that bear it. @param {{name: string, value: string}} props */
function Others({ name, value }) {
  return html`<a href=${`#/history?${new URLSearchParams({ [name]: value })}`}><bdi>${value}</bdi></a>`
}
