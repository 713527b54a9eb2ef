// @ts-check
// One batch: what it is, how far it is, and what may be done with it.

import { html, useState } from '../../vendor/libraries.js'
import { mayChange } from '../../parts/actions.js'
import { cost, count, plural, seconds, when } from '../../parts/format.js'
import { change, retry } from './actions.js'
import { FailedLines } from './failed_lines.js'

const OVER = ['completed', 'failed', 'expired', 'cancelled']
/** @type {Record<string, string>} */
const STATES = {
  validating: 'its file is read', in_progress: 'running', finalizing: 'its files are written',
  cancelling: 'it is cancelled'
}

/** @param {any} batch */
export function stateOf(batch) {
  const paused = batch.paused_at !== null && ['validating', 'in_progress'].includes(batch.status)
  return paused ? 'paused' : STATES[batch.status] ?? batch.status
}

/** @param {{batch: any, onChange: () => void}} props */
export function Batch({ batch, onChange }) {
  const { total, completed, failed } = batch.request_counts
  const over = OVER.includes(batch.status)
  const done = completed + failed
  const state = stateOf(batch)
  return html`<section class="batch" aria-labelledby=${batch.id}>
    <div class="row head"><h2 id=${batch.id}><bdi>${batch.model ?? batch.endpoint}</bdi>${batch.model && html`${' '}<small class="soft">${batch.endpoint}</small>`}</h2>
      <span class=${`outcome ${batch.status} ${state}`}>${state}</span><span class="space"></span>
      ${mayChange() && html`<${Buttons} batch=${batch} state=${state} over=${over} onChange=${onChange}/>`}</div>
    ${total > 0 && html`<div class="far" role="progressbar" aria-label=${`Progress of ${batch.id}`} aria-valuemin="0" aria-valuemax=${total}
      aria-valuenow=${done} aria-valuetext=${`${count(done)} of ${plural(total, 'line')}`}>
      <i class="done" style=${{ width: `${100 * completed / total}%` }}></i><i class="failed" style=${{ width: `${100 * failed / total}%` }}></i></div>`}
    <p>${over && total === 0 ? 'Nothing ran' : html`<strong>${count(completed)}</strong> of ${plural(total, 'line')} done`}${failed > 0 && html`,
      <strong class="late"> ${count(failed)} failed</strong>`}${!over && total > done && `, ${count(total - done)} left`}${ends(batch, over)}</p>
    ${batch.headway.waits && html`<p class="waits">No lines begin now: ${batch.headway.waits}.</p>`}
    ${batch.errors && html`<${Wrong} errors=${batch.errors.data}/>`}
    <dl class="facts tight">
      <dt>Cost</dt><dd>${cost(batch.headway.cost)}${batch.headway.unpriced > 0 && html` <span class="soft">(${plural(batch.headway.unpriced, 'line')} without a <a href="#/costs">price</a>)</span>`}${
        batch.headway.uncounted > 0 && html` <span class="soft">(${plural(batch.headway.uncounted, 'line')} in the logs of other gateways)</span>`}</dd>
      <dt>Tokens</dt><dd>${count(batch.usage.input_tokens)} in, ${count(batch.usage.output_tokens)} out</dd>
      ${batch.headway.owner && html`<dt>Tenant</dt><dd><bdi>${batch.headway.owner}</bdi></dd>`}
      ${batch.headway.key && html`<dt>Key</dt><dd><bdi>${batch.headway.key}</bdi></dd>`}
      <dt>Began</dt><dd>${when(batch.created_at)}</dd>
      <dt>Batch</dt><dd class="mono">${batch.id}</dd>
    </dl>
    <${Below} batch=${batch} failed=${failed}/></section>`
}

/** When it ends or ended, as the rest of a sentence. @param {any} batch @param {boolean} over */
function ends(batch, over) {
  if (over) {
    const at = batch.completed_at ?? batch.failed_at ?? batch.expired_at ?? batch.cancelled_at
    return `. It took ${at > batch.created_at ? seconds(at - batch.created_at) : 'less than a second'}.`
  }
  const left_s = Date.now() / 1000
  if (batch.headway.ends_at !== null) {
    return `. It ends in about ${seconds(Math.max(0, batch.headway.ends_at - left_s))}, at ${when(batch.headway.ends_at)}${
      batch.headway.ends_at > batch.expires_at ? '; it expires before' : ''}.`
  }
  return `. It expires in ${seconds(Math.max(0, batch.expires_at - left_s))}.`
}

/** @param {{batch: any, state: string, over: boolean, onChange: () => void}} props */
function Buttons({ batch, state, over, onChange }) {
  const failed = over && batch.error_file_id !== null
  return html`<span class="row">
    ${state === 'paused' && html`<button onClick=${() => change(batch, 'resume', onChange)}>Resume</button>`}
    ${['running', 'its file is read'].includes(state) && html`<button onClick=${() => change(batch, 'pause', onChange)}>Pause</button>`}
    ${!over && !['cancelling', 'finalizing'].includes(batch.status) && html`
      <button class="danger" onClick=${() => change(batch, 'cancel', onChange)}>Cancel</button>`}
    ${failed && html`<button onClick=${() => retry(batch, onChange)}>Run what failed again</button>`}</span>`
}

/** @param {{errors: {line: number | null, code: string, message: string}[]}} props what is wrong with the input */
function Wrong({ errors }) {
  return html`<div class="waits bad"><p>The file is wrong, so nothing of it ran: mend it and begin a new batch.</p>
    <ul>${errors.slice(0, 20).map(one => html`<li><bdi>${one.message}</bdi></li>`)}</ul>
    ${errors.length > 20 && html`<p>and ${count(errors.length - 20)} more</p>`}</div>`
}

/** @param {{batch: any, failed: number}} props */
function Below({ batch, failed }) {
  const [open, setOpen] = useState(false)
  return html`${failed > 0 && html`<details class="failed" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}>
      <summary>${plural(failed, 'line')} that failed, with ${failed === 1 ? 'its error' : 'their errors'}</summary>
      ${open && html`<${FailedLines} batch=${batch.id} failed=${failed}/>`}</details>`}
    ${(batch.output_file_id || batch.error_file_id) && html`<p class="small">
      ${batch.output_file_id && html`<a href=${`v1/files/${batch.output_file_id}/content`} download=${`${batch.id}.jsonl`}>Answers</a>`}
      ${batch.output_file_id && batch.error_file_id && ' · '}
      ${batch.error_file_id && html`<a href=${`v1/files/${batch.error_file_id}/content`} download=${`${batch.id}.errors.jsonl`}>Errors</a>`}
      <span class="soft"> as files</span></p>`}`
}
