// @ts-check
// One live request, and what may be done with it.

import { html } from '../../vendor/libraries.js'
import { cancelRequest, mayOperate, moveRequest, TIERS } from '../../parts/actions.js'
import { show } from '../../parts/dialog.js'
import { between, count, seconds } from '../../parts/format.js'

/** @param {any} one a running or a waiting request */
export function openRequest(one) {
  const waits = one.why !== undefined
  show({
    title: waits ? `Waiting, #${count(one.place)} in line` : `Running on ${one.backend}`,
    body: html`
      ${waits && html`<p>It ${one.why}.</p>`}
      <dl class="facts">
        <dt>Request</dt><dd class="mono">${one.id}</dd>
        <dt>Model</dt><dd>${one.model}</dd>
        <dt>Tier</dt><dd>${one.tier}</dd>
        ${one.tenant && html`<dt>Tenant</dt><dd>${one.tenant}</dd>`}
        ${one.program && html`<dt>Run</dt><dd class="mono">${one.program}</dd>`}
        <dt>Prompt</dt><dd>${count(one.prompt_tokens)} tokens</dd>
        ${waits
          ? html`<dt>Has waited</dt><dd>${seconds(one.wait_s)}</dd>
            <dt>Predicted</dt><dd>${count(one.predicted_tokens)} output tokens (80%: ${between(one.predicted_low, one.predicted_high)})</dd>`
          : html`<dt>Arrived</dt><dd>${seconds(one.age_s)} ago; it has run for ${seconds(one.running_s)}</dd>
            <dt>Output so far</dt><dd>${count(one.output_tokens)} tokens</dd>
            <dt>To come</dt><dd>about ${seconds(one.rest_s)}, ${count(one.rest_tokens)} tokens (80%: ${between(one.rest_low, one.rest_high)})</dd>`}
        <dt>Preempted</dt><dd>${one.preemptions === 0 ? 'never' : `${one.preemptions}×`}${one.not_preemptible_because ? `; it cannot be: ${one.not_preemptible_because}` : ''}</dd>
      </dl>
      ${mayOperate() && html`<p class="row">
        ${waits && TIERS.filter(tier => tier !== one.tier).map(tier => html`
          <button onClick=${() => moveRequest(one.id, one.tier, tier)}>Move to ${tier}</button>`)}
        <button class="danger" onClick=${() => cancelRequest(one.id)}>Cancel the request</button></p>`}`
  })
}
