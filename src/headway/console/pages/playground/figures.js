// @ts-check
// What is predicted of a message, and how its answer came.

import { html } from '../../vendor/libraries.js'
import { between, count, plural, seconds } from '../../parts/format.js'
import { session } from '../../parts/session.js'

/**
 * What is predicted if the message is sent now, under the policy in use and under another one.
 * @param {{predicted: any, number: number, policy: string, onPolicy: (name: string) => void}} props
 */
export function Predicted({ predicted, number, policy, onPolicy }) {
  if (!predicted) return null
  const { output_tokens, output_low, output_high, under } = predicted
  const id = `policy-${number}`
  const others = (session.value?.policies ?? []).filter(one => one.name !== predicted.policy)
  return html`<div class="soft small"><p role="status">If it is sent now: about ${count(output_tokens)} tokens
      (80%: ${between(output_low, output_high)}), ${wait(predicted)}.</p>
    <p class="row"><label for=${id}>Under another policy</label>
      <select id=${id} class="little" value=${policy} onChange=${(/** @type {any} */ event) => onPolicy(event.target.value)}>
        <option value="">–</option>${others.map(one => html`<option value=${one.name}>${one.name}</option>`)}</select>
      ${under && html`<span role="status">${wait(under)}.</span>`}</p></div>`
}

/** @param {{wait_s: number | null, ahead: number, policy: string}} predicted */
function wait({ wait_s, ahead, policy }) {
  if (wait_s === null) return 'once a backend is there'
  const when = wait_s < 0.05 ? 'at once' : `after about ${seconds(wait_s)}`
  return ahead ? `${when}, behind ${plural(ahead, 'other')} by ${policy}` : when
}

/** @param {{figures: any}} props */
export function Figures({ figures }) {
  if (!figures) return null
  const { predicted, usage, first_s, whole_s } = figures
  const headway = usage?.headway
  const facts = [
    ['Predicted', predicted == null ? null : `${count(predicted)} tokens`],
    ['Output', usage ? `${count(usage.completion_tokens)} tokens` : null],
    ['Waited', headway ? seconds(headway.queue_ms / 1000) : null],
    ['First token', first_s == null ? null : seconds(first_s)],
    ['Whole answer', whole_s == null ? null : seconds(whole_s)],
    ['Ran on', headway ? `${headway.backend}, tier ${headway.tier}, by ${headway.policy}` : null],
    ['Preempted', headway?.preemptions ? `${headway.preemptions}×` : null]
  ]
  return html`<dl class="facts tight">${facts.filter(([, value]) => value !== null).map(([label, value]) =>
    html`<dt>${label}</dt><dd>${value}</dd>`)}</dl>`
}
