// @ts-check
// The runs of a worker, the newest first.

import { html } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { count, ms, when } from '../../parts/format.js'
import { Pager } from '../../parts/pager.js'
import { runsAddress, workerPath } from './address.js'

const ROWS = 50
const EVERY_S = 2
const STATES = ['ready', 'running', 'waiting', 'blocked', 'finished', 'failed', 'cancelled']

/** @param {{worker: string, query: URLSearchParams}} props */
export function List({ worker, query }) {
  const before = query.getAll('after')
  const filters = { state: query.get('state') ?? '', workflow: query.get('workflow') ?? '' }
  const asked = new URLSearchParams({ limit: `${ROWS}` })
  for (const [name, value] of Object.entries(filters)) if (value !== '') asked.set(name, value)
  if (before.length > 0) asked.set('after', before[before.length - 1])
  const { answer, error, busy } = useAnswer(`${workerPath(worker, 'runs')}?${asked}`, EVERY_S)
  /** @param {Partial<typeof filters>} changes */
  const narrow = changes => { location.hash = runsAddress(worker, { ...filters, ...changes }) }
  const turn = (/** @type {string[]} */ after) => {
    location.hash = `${runsAddress(worker, filters)}${after.map(one => `&after=${encodeURIComponent(one)}`).join('')}`
  }
  /** @param {any} event */
  function find(event) {
    event.preventDefault()
    const id = new FormData(event.target).get('id')?.toString().trim()
    if (id) location.hash = runsAddress(worker, { run: id })
  }
  const workflows = [...new Set([...(answer?.workflows ?? []), ...(filters.workflow ? [filters.workflow] : [])])]
  return html`<section aria-label="All runs" aria-busy=${busy}>
    <div class="row head"><h2>All runs</h2><span class="soft">the newest first${before.length ? `, page ${before.length + 1}` : ''}</span><span class="space"></span>
      <label class="unseen" for="state">State</label>
      <select id="state" value=${filters.state} onChange=${(/** @type {any} */ event) => narrow({ state: event.target.value })}>
        <option value="">all states</option>${STATES.map(one => html`<option value=${one}>${one}</option>`)}</select>
      <label class="unseen" for="workflow">Workflow</label>
      <select id="workflow" value=${filters.workflow} onChange=${(/** @type {any} */ event) => narrow({ workflow: event.target.value })}>
        <option value="">all workflows</option>${workflows.map(one => html`<option value=${one}>${one}</option>`)}</select>
      <form class="row" onSubmit=${find}><label class="unseen" for="id">Find a run by its id</label>
        <input id="id" name="id" type="search" placeholder="id of a run" size="14" autocomplete="off"/><button>Find</button></form></div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${answer && (answer.runs.length === 0
      ? html`<p class="soft empty">${filters.state || filters.workflow ? 'No run is like that.' : 'Nothing has run yet. Start a run with `headway run FILE`, a trigger, or POST /v1/runs of the worker.'}</p>`
      : html`<div class="wide" tabindex="0" role="region" aria-label="Runs, a table"><table class="runs"><thead><tr>
          <th scope="col">Run</th><th scope="col">State</th><th scope="col">Workflow</th><th scope="col">Began</th>
          <th scope="col">Took</th><th scope="col">Steps ended</th><th scope="col">Why</th></tr></thead>
        <tbody>${answer.runs.map((/** @type {any} */ run) => html`<${Row} key=${run.id} worker=${worker} run=${run}/>`)}</tbody></table></div>`)}
    ${(before.length > 0 || answer?.next) && html`<${Pager} before=${before} next=${answer?.next} onPage=${turn}/>`}</section>`
}

/** @param {{worker: string, run: any}} props */
function Row({ worker, run }) {
  const took_s = run.started_at === null ? null : (run.ended_at ?? Date.now() / 1000) - run.started_at
  return html`<tr><th scope="row"><a class="mono" href=${runsAddress(worker, { run: run.id })}>${run.id}</a>${run.parent_run && html`
      <small class="soft"> of another run</small>`}</th>
    <td><span class=${`run ${run.state}`}>${run.state}</span></td><td><bdi>${run.workflow}</bdi></td>
    <td>${when(run.created_at)}</td><td>${ms(took_s === null ? null : 1000 * took_s)}</td><td>${count(run.ended)} of ${count(run.steps)}</td>
    <td class="why"><bdi>${(run.error ?? run.why ?? '').slice(0, 300)}</bdi></td></tr>`
}
