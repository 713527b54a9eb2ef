// @ts-check
// The steps of a run as a table: what its graph shows, and more.

import { html, useState } from '../../vendor/libraries.js'
import { count, ms, plural, when } from '../../parts/format.js'
import { runsAddress } from './address.js'

const PIECE = 100

/**
 * @param {object} props
 * @param {string} props.worker
 * @param {any} props.run
 * @param {any[]} props.nodes
 * @param {any[]} props.steps
 * @param {number} props.leftOut older steps that did not come
 * @param {string} props.node only its steps; empty: all
 * @param {(node: string) => void} props.onNode
 */
export function Steps({ worker, run, nodes, steps, leftOut, node, onNode }) {
  const [most, setMost] = useState(PIECE)
  const shown = node === '' ? steps : steps.filter(one => one.node === node)
  const from_s = run.started_at ?? run.created_at
  return html`<section aria-labelledby="steps"><div class="row head"><h2 id="steps">Steps</h2><span class="space"></span>
      ${nodes.length > 1 && html`<label class="unseen" for="of">Of which part of the graph</label>
        <select id="of" value=${node} onChange=${(/** @type {any} */ event) => onNode(event.target.value)}>
          <option value="">all of the graph</option>
          ${nodes.filter(one => one.name).map(one => html`<option value=${one.id}>${one.id}: ${one.state}${one.steps > 1 ? `, ${one.ended} of ${one.steps}` : ''}</option>`)}</select>`}</div>
    ${leftOut > 0 && html`<p class="soft small">The first ${count(leftOut)} steps are left out.</p>`}
    ${shown.length === 0 ? html`<p class="soft empty">None has begun.</p>` : html`
      <div class="wide" tabindex="0" role="region" aria-label="Steps, a table"><table class="steps"><thead><tr>
        <th scope="col">Step</th><th scope="col">State</th><th scope="col">Kind</th><th scope="col">Began after</th><th scope="col">Took</th>
        <th scope="col">Tries</th><th scope="col">Tokens in</th><th scope="col">Out</th><th scope="col">Model</th><th scope="col">Error, or what it asks</th></tr></thead>
      <tbody>${shown.slice(0, most).map(one => html`<tr key=${one.path}>
        <th scope="row"><bdi class="mono">${one.path}</bdi></th>
        <td><span class=${`run ${one.state}`}>${one.state}</span></td><td>${one.kind}</td>
        <td>${one.started_at === null ? '' : ms(1000 * Math.max(0, one.started_at - from_s))}</td><td>${took(one)}</td>
        <td>${one.attempt > 1 ? one.attempt : ''}</td><td>${one.prompt_tokens === null ? '' : count(one.prompt_tokens)}</td>
        <td>${one.output_tokens === null ? '' : count(one.output_tokens)}</td><td><bdi>${one.model ?? ''}</bdi></td>
        <td class="why"><${Note} worker=${worker} step=${one}/></td></tr>`)}</tbody></table></div>`}
    ${shown.length > most && html`<p class="row end"><span class="soft">${count(most)} of ${plural(shown.length, 'step')}</span>
      <button onClick=${() => setMost(most + PIECE)}>Show more</button></p>`}</section>`
}

/** @param {any} step */
function took(step) {
  if (step.started_at === null || step.state === 'stopped') return ''
  return ms(1000 * ((step.ended_at ?? Date.now() / 1000) - step.started_at))
}

/** @param {{worker: string, step: any}} props */
function Note({ worker, step }) {
  const words = step.error ?? (step.asks ? `asks: ${step.asks}` : '')
  return html`<bdi>${words.slice(0, 2000)}</bdi>${step.answered_by && html` <span class="soft">answered by <bdi>${step.answered_by}</bdi></span>`}
    ${step.child && html`<a class="mono" href=${runsAddress(worker, { run: step.child })}>its run</a>`}
    ${step.due_at !== null && step.state === 'waiting' && html` <span class="soft">until ${when(step.due_at)}</span>`}`
}
