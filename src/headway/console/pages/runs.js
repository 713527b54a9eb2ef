// @ts-check
// Runs of workflows: what people are asked, how far runs are, and each as a graph.

import { html } from '../vendor/libraries.js'
import { useAnswer } from '../parts/answer.js'
import { List } from './runs/list.js'
import { Questions } from './runs/questions.js'
import { Run } from './runs/run.js'
import { runsAddress } from './runs/address.js'

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const { answer, error } = useAnswer('v1/headway/workers')
  if (answer === null || answer.workers.length === 0) {
    return html`<h1>Runs</h1>${error ? html`<section><p class="error" role="alert">${error}</p></section>`
      : answer ? html`<${None}/>` : html`<p class="soft" role="status">Looking …</p>`}`
  }
  /** @type {string[]} */
  const names = answer.workers.map((/** @type {any} */ one) => one.name)
  const worker = names.includes(query.get('worker') ?? '') ? /** @type {string} */ (query.get('worker')) : names[0]
  const run = query.get('run')
  if (run !== null) return html`<${Run} key=${run} worker=${worker} id=${run}/>`
  return html`<div class="row head"><h1>Runs</h1><span class="space"></span>
      ${names.length > 1 && html`<label for="worker">Worker</label><select id="worker" value=${worker}
        onChange=${(/** @type {any} */ event) => { location.hash = runsAddress(event.target.value) }}>
        ${names.map(one => html`<option value=${one}>${one}</option>`)}</select>`}</div>
    <${Questions} key=${`asked ${worker}`} worker=${worker}/>
    <${List} key=${worker} worker=${worker} query=${query}/>`
}

function None() {
  return html`<section><h2>No worker is known</h2>
    <p>A workflow is a file of Python or YAML whose steps call models, such as an agent or a report. A worker, a process of its own,
    runs it. This page shows each run: its steps, what they wait for, and what it asks people, who answer here. Two things
    are missing:</p>
    <ol><li>Start a worker with its API, here for a workflow in report.py: <code>headway worker report.py --port 8090</code></li>
    <li>Name it in headway.yaml, and restart the gateway:</li></ol>
    <div class="code"><pre tabindex="0">${'workers:\n- url: http://127.0.0.1:8090\n  tenant: research   # whose runs they are; without it only admins see them'}</pre></div></section>`
}
