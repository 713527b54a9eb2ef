// @ts-check
// What was spent by tenant, key, model, run or batch.

import { html } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { cost, count } from '../../parts/format.js'

const BY = ['tenant', 'key', 'model', 'backend', 'tier', 'run', 'batch', 'day']
const EVERY_S = 30
const ROWS = 50
/** @type {Record<string, string>} */
const SPANS = { today: 'today', month: 'this month', '7d': 'last 7 days', '30d': 'last 30 days', '365d': 'last 365 days' }

/** @param {string} span */
function since(span) {
  const now = new Date().toISOString()
  return span === 'today' ? now.slice(0, 10) : span === 'month' ? `${now.slice(0, 7)}-01` : span
}

/** @param {{query: URLSearchParams}} props */
export function Groups({ query }) {
  const by = BY.includes(query.get('by') ?? '') ? /** @type {string} */ (query.get('by')) : 'tenant'
  const span = (query.get('since') ?? '') in SPANS ? /** @type {string} */ (query.get('since')) : 'month'
  const rows = Number(query.get('rows') ?? ROWS) || ROWS
  const { answer, error, busy } = useAnswer(`v1/headway/costs?by=${by}&since=${since(span)}&limit=${rows}`, EVERY_S)
  const go = (/** @type {Record<string, string>} */ changes) => {
    location.hash = `#/costs?${new URLSearchParams({ by, since: span, ...changes })}`
  }
  const most = Math.max(...(answer?.groups ?? []).map((/** @type {any} */ one) => one.cost ?? 0), 0)
  return html`<section aria-label="By whom" aria-busy=${busy}>
    <div class="row head"><h2>Spent by</h2>
      <label class="unseen" for="by">By what</label>
      <select id="by" value=${by} onChange=${(/** @type {any} */ event) => go({ by: event.target.value })}>
        ${BY.map(one => html`<option value=${one}>${one}</option>`)}</select>
      <label class="unseen" for="since">Since when</label>
      <select id="since" value=${span} onChange=${(/** @type {any} */ event) => go({ since: event.target.value })}>
        ${Object.entries(SPANS).map(([value, label]) => html`<option value=${value}>${label}</option>`)}</select></div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${answer && (answer.groups.length === 0 ? html`<p class="soft empty">Nothing was served in this time.</p>` : html`
      <div class="wide" tabindex="0" role="region" aria-label=${`Costs by ${by}, a table`}><table class="spent"><thead><tr>
        <th scope="col">${by[0].toUpperCase() + by.slice(1)}</th><th scope="col">Cost</th><th scope="col">Requests</th>
        <th scope="col">Prompt tokens</th><th scope="col">Cached</th><th scope="col">Output tokens</th><th scope="col">No price</th></tr></thead>
      <tbody>${answer.groups.map((/** @type {any} */ one) => html`<tr key=${one.group[by]}>
        <th scope="row"><${Name} by=${by} name=${one.group[by]}/></th>
        <td class="money"><span class="share" aria-hidden="true" style=${{ width: `${most === 0 ? 0 : 60 * (one.cost ?? 0) / most}px` }}></span>${cost(one.cost)}</td>
        <td>${count(one.requests)}</td><td>${count(one.prompt_tokens)}</td><td>${count(one.cached_tokens)}</td>
        <td>${count(one.output_tokens)}</td><td>${one.unpriced === 0 ? '' : count(one.unpriced)}</td></tr>`)}</tbody></table></div>`)}
    ${answer?.left_out > 0 && html`<p class="row end"><span class="soft">${count(answer.left_out)} that cost less are left out.</span>
      <button onClick=${() => go({ rows: `${rows * 4}` })}>Show more</button></p>`}</section>`
}

/** @param {{by: string, name: string}} props */
function Name({ by, name }) {
  if (name === '') return html`<span class="soft">no ${by}</span>`
  if (by === 'run') return html`<a class="mono" href=${`#/runs?run=${encodeURIComponent(name)}`}>${name}</a>`
  return html`<bdi class=${by === 'batch' ? 'mono' : ''}>${name}</bdi>`
}
