// @ts-check
// One run: its state, what it asks, its graph, and its steps.

import { html, useState } from '../../vendor/libraries.js'
import { mayChange } from '../../parts/actions.js'
import { useAnswer } from '../../parts/answer.js'
import { confirm } from '../../parts/dialog.js'
import { cost, count, ms, plural, when } from '../../parts/format.js'
import { ask, session } from '../../parts/session.js'
import { runsAddress, workerPath } from './address.js'
import { Graph } from './graph.js'
import { Questions } from './questions.js'
import { Steps } from './steps.js'

const EVERY_S = 1
const COST_EVERY_S = 5
const ENDED = ['finished', 'failed', 'cancelled']

/** @param {{worker: string, id: string}} props */
export function Run({ worker, id }) {
  const [ended, setEnded] = useState(false)
  const [node, setNode] = useState('')
  const { answer, error, again } = useAnswer(workerPath(worker, 'runs', id), ended ? 0 : EVERY_S)
  const isOver = answer !== null && ENDED.includes(answer.run.state)
  if (isOver !== ended && answer !== null) setEnded(isOver)
  if (answer === null) {
    return html`<${Back} worker=${worker}/><h1>One run <small class="mono">${id}</small></h1>${error
      ? html`<p class="error" role="alert">${error}</p>` : html`<p class="soft" role="status">Looking …</p>`}`
  }
  const { run, nodes, steps } = answer
  return html`<${Back} worker=${worker}/>
    <h1><bdi>${run.workflow}</bdi> <small class="mono">${run.id}</small></h1>
    <${Summary} worker=${worker} run=${run} nodes=${nodes} onChange=${again}/>
    ${!isOver && html`<${Questions} worker=${worker} run=${run.id}/>`}
    <section aria-labelledby="graph"><h2 id="graph">Graph</h2>
      ${nodes.length === 0 ? html`<p class="soft empty">${run.pruned ? 'Its steps were deleted: it ended long ago.' : 'No step has begun yet.'}</p>`
        : html`<${Graph} nodes=${nodes} chosen=${node} onChoose=${(/** @type {string} */ one) => setNode(one === node ? '' : one)}/>`}</section>
    <${Steps} worker=${worker} run=${run} nodes=${nodes} steps=${steps} leftOut=${answer.left_out} node=${node} onNode=${setNode}/>`
}

/** @param {{worker: string}} props */
function Back({ worker }) {
  return html`<p><a href=${runsAddress(worker)}>All runs</a></p>`
}

/** @param {{worker: string, run: any, nodes: any[], onChange: () => void}} props */
function Summary({ worker, run, nodes, onChange }) {
  const sum = (/** @type {string} */ what) => nodes.reduce((all, one) => all + one[what], 0)
  const [steps, ended, failed, retries] = ['steps', 'ended', 'failed', 'retries'].map(sum)
  const keepsLog = session.value?.keeps_log
  const program = run.id.split('.')[0]
  const took_s = run.started_at === null ? null : (run.ended_at ?? Date.now() / 1000) - run.started_at
  return html`<section aria-label="Summary">
    <div class="row head"><span class=${`run ${run.state}`}>${run.cancelling && run.state !== 'cancelled' ? 'is being cancelled' : run.state}</span>
      <span>${count(ended)} of ${plural(steps, 'step')} ended${failed > 0 && html`, <strong class="late">${count(failed)} failed</strong>`}</span>
      <span class="space"></span>${mayChange() && !run.pruned && html`<${Buttons} worker=${worker} run=${run} onChange=${onChange}/>`}</div>
    ${run.error && html`<p class="waits bad"><bdi>${run.error}</bdi></p>`}
    ${run.why && html`<p class="waits"><bdi>${run.why}</bdi></p>`}
    <dl class="facts tight">
      <dt>Began</dt><dd>${when(run.created_at)}</dd>
      <dt>${run.ended_at === null ? 'Runs for' : 'Took'}</dt><dd>${ms(took_s === null ? null : 1000 * took_s)}</dd>
      ${run.deadline_at !== null && html`<dt>Deadline</dt><dd>${when(run.deadline_at)}</dd>`}
      ${run.wake_at !== null && run.state === 'waiting' && html`<dt>Wakes</dt><dd>${when(run.wake_at)}</dd>`}
      <dt>Tokens</dt><dd>${count(sum('prompt_tokens'))} in, ${count(sum('output_tokens'))} out</dd>
      ${keepsLog && html`<${Cost} run=${program} began=${run.created_at} ended=${run.ended_at}/>`}
      <dt>Retries</dt><dd>${count(retries)}</dd>
      ${run.tier && html`<dt>Tier</dt><dd>${run.tier}</dd>`}
      ${run.parent_run && html`<dt>Started by</dt><dd><a class="mono" href=${runsAddress(worker, { run: run.parent_run })}>${run.parent_run}</a></dd>`}
      ${keepsLog && html`<dt>Its calls</dt><dd><a href=${`#/history?${new URLSearchParams({ program })}`}>in History</a></dd>`}
    </dl></section>`
}

/** What the calls of a run cost so far, where they have a price. @param {{run: string, began: number, ended: number | null}} props */
function Cost({ run, began, ended }) {
  const query = new URLSearchParams({ by: 'run', run, since: `${Math.floor(began)}` })
  // Calls reach the log a moment after their ends.
  const isWhole = ended !== null && Date.now() / 1000 > ended + COST_EVERY_S
  const { answer } = useAnswer(`v1/headway/costs?${query}`, isWhole ? 0 : COST_EVERY_S)
  const { total } = answer ?? {}
  return total?.cost != null && html`<dt>Cost</dt><dd>${cost(total.cost)}${total.unpriced > 0
    && `; ${plural(total.unpriced, 'call')} without a price`}</dd>`
}

/** @param {{worker: string, run: any, onChange: () => void}} props */
function Buttons({ worker, run, onChange }) {
  const isOver = ENDED.includes(run.state)
  /** @param {'cancel' | 'retry'} what @param {string} title @param {string} body @param {string} act @param {string} done */
  const asks = (what, title, body, act, done) => confirm({
    title, act, danger: what === 'cancel',
    body: html`<p>${body}</p><p class="soft mono">${run.id}</p>`,
    onAct: async () => {
      await ask(workerPath(worker, 'runs', run.id, what), { method: 'POST' })
      onChange()
      return done
    }
  })
  return html`${['failed', 'cancelled', 'blocked'].includes(run.state) && html`<button onClick=${() => asks('retry', 'Let this run go on?',
      'Failed steps run again; what had finished stays. It has its whole deadline again.', 'Run again', 'The run is ready: a worker takes it.')}>Run what failed again</button>`}
    ${!isOver && html`<button class="danger" onClick=${() => asks('cancel', 'Cancel this run?',
      'It ends at once, with the runs that it started. What had finished stays in the journal.', 'Cancel the run', 'The run is cancelled.')}>Cancel</button>`}`
}
