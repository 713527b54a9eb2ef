// @ts-check
// How the slots and the waiting are shared: among tiers, among tenants; and who yielded to whom.

import { html } from '../../vendor/libraries.js'
import { count, plural, seconds } from '../../parts/format.js'
import { session } from '../../parts/session.js'

/** @param {{now: any}} props */
export function Tiers({ now }) {
  return html`<section aria-label="Tiers"><h2>Tiers</h2>
    <div class="wide" tabindex="0" role="group" aria-label="Table of tiers"><table><thead><tr><th scope="col">tier</th><th scope="col">running</th>
      <th scope="col">waiting</th><th scope="col" class="extra">backlog</th><th scope="col">longest wait</th>
      <th scope="col">worst, 1 h</th><th scope="col">bound</th></tr></thead>
    <tbody>${now.tiers.map((/** @type {any} */ one) => html`<tr>
      <th scope="row"><span class=${`tag ${one.tier}`}>${one.tier}</span></th>
      <td>${count(one.running)}</td><td>${count(one.waiting)}</td><td class="extra">${seconds(one.backlog_s)}</td>
      <td class=${late(one.longest_wait_s, one)}>${seconds(one.longest_wait_s)}</td>
      <td class=${late(one.worst_wait_s, one)}>${seconds(one.worst_wait_s)}</td>
      <td>${bound(one)}</td></tr>`)}</tbody></table></div>
    <p class="soft small">Once a request has waited as long as its bound, it is the next to start.</p>
  </section>`
}

/** @param {any} tier */
function bound(tier) {
  const parts = []
  if (tier.max_wait_s !== null) parts.push(seconds(tier.max_wait_s))
  if (tier.max_slowdown !== null) parts.push(`${tier.max_slowdown}× its service`)
  return parts.join(', ') || 'none'
}

/** @param {number | null} wait_s @param {any} tier */
function late(wait_s, tier) {
  return wait_s !== null && tier.max_wait_s !== null && wait_s > tier.max_wait_s ? 'late' : null
}

/** @param {{now: any}} props */
export function Tenants({ now }) {
  const most = Math.max(1, ...now.tenants.map((/** @type {any} */ one) => one.running + one.waiting))
  const more = now.tenants_in_all - now.tenants.length
  return html`<section aria-label="Tenants"><h2>Tenants</h2>
    ${now.tenants.length === 0 && html`<p class="soft">No tenant has requests.</p>`}
    <ul class="bars">${now.tenants.map((/** @type {any} */ one) => html`<li key=${one.tenant}>
      <span class="name">${one.tenant || 'without a name'}</span>
      <span class="bar" aria-hidden="true">
        <i class="run" style=${{ width: `${100 * one.running / most}%` }}></i>
        <i class="wait" style=${{ width: `${100 * one.waiting / most}%` }}></i></span>
      <span class="soft">${count(one.running)} run, ${count(one.waiting)} wait${one.waiting ? ` up to ${seconds(one.longest_wait_s)}` : ''}</span>
    </li>`)}</ul>
    ${more > 0 && html`<p class="soft small">And ${count(more)} more.</p>`}
    <p class="soft small">${now.fairness === 'off'
      ? 'Fairness is off: tenants wait in one line.'
      : `Fairness is ${now.fairness}: tenants take turns by what they have used.`}
      ${session.value?.keeps_log && html`${' '}<a href="#/history?by=tenant">What they were served</a>`}</p>
  </section>`
}

/** @param {{now: any}} props */
export function Preemptions({ now }) {
  return html`<section aria-label="Preemptions" class="both"><h2>Preemptions</h2>
    ${now.preemptions.length === 0 && html`<p class="soft">${now.preemption
      ? 'No request has had to yield its slot lately.'
      : 'Preemption is off.'}</p>`}
    <ol class="feed">${now.preemptions.map((/** @type {any} */ one) => html`
      <li key=${`${one.id}-${one.output_tokens}`}><span class="soft ago">${seconds(one.ago_s)} ago</span>
        <span><span class=${`tag ${one.tier}`}>${one.tier}</span> kept its ${plural(one.output_tokens, 'token')} and left its slot
        on ${one.backend} to${' '}<span class=${`tag ${one.winner_tier}`}>${one.winner_tier}</span>
        <br/><small class="mono soft">${one.id} → ${one.winner_id ?? 'another tenant’s'}</small></span></li>`)}</ol>
  </section>`
}
