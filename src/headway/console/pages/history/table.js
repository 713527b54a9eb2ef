// @ts-check
// Requests: the newest a page at a time, or the slowest.

import { html } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { cost, count, ms, when } from '../../parts/format.js'
import { Pager } from '../../parts/pager.js'

const ROWS = 50
/** By the time that it goes by. @type {Record<string, string>} */
export const ORDERS = {
  '': 'newest first', latency: 'slowest first', ttft: 'slowest first token first', wait: 'longest wait first'
}

/**
 * @param {object} props
 * @param {URLSearchParams} props.asked filters and stretch of time
 * @param {string[]} props.before where the pages up to this one begin
 * @param {string} props.slowest by which time they are the slowest first; empty: the newest first
 * @param {(before: string[]) => void} props.onPage
 * @param {(slowest: string) => void} props.onOrder
 */
export function Table({ asked, before, slowest, onPage, onOrder }) {
  const after = before[before.length - 1]
  const query = new URLSearchParams([...asked, ['limit', `${ROWS}`],
    ...(slowest ? [['slowest_by', slowest]] : after ? [['after', after]] : [])])
  const { answer, error, busy } = useAnswer(`v1/headway/history?${query}`)
  return html`<section aria-label="Requests" aria-busy=${busy}>
    <div class="row head"><h2>Requests</h2>
      <label class="unseen" for="order">Order</label>
      <select id="order" value=${slowest} onChange=${(/** @type {any} */ event) => onOrder(event.target.value)}>
        ${Object.entries(ORDERS).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select>
      <span class="soft">${before.length ? `page ${before.length + 1}` : ''}</span>
      <span class="space"></span>
      <a href=${`v1/headway/history.csv?${asked}`} download="requests.csv">All of them as CSV</a></div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${answer?.damaged > 0 && html`<p class="soft">Damaged rows that are left out: ${count(answer.damaged)}.</p>`}
    ${answer && (answer.data.length === 0
      ? html`<p class="soft empty">No request is like that.</p>`
      : html`<div class="wide" tabindex="0" role="region" aria-label="Requests, a table">
          <table class="requests"><thead><tr>
            <th scope="col">Arrived</th><th scope="col">Outcome</th><th scope="col">Tier</th>
            <th scope="col">Tenant</th><th scope="col">Model</th><th scope="col">Waited</th>
            <th scope="col">First token</th><th scope="col">Latency</th><th scope="col">Prompt</th>
            <th scope="col">Output</th><th scope="col">Preempted</th><th scope="col">Cost</th>
          </tr></thead><tbody>${answer.data.map((/** @type {any} */ row) => html`<${Row} key=${row.id} row=${row}/>`)}</tbody></table>
        </div>`)}
    ${slowest === '' && html`<${Pager} before=${before} next=${answer?.next} onPage=${onPage}/>`}</section>`
}

/** @param {{row: any}} props */
function Row({ row }) {
  return html`<tr>
    <th scope="row"><a href=${`#/history?id=${encodeURIComponent(row.id)}`}>${when(row.arrival_unix_s)}</a></th>
    <td><span class=${`outcome ${row.outcome}`}>${row.outcome}</span>${row.outcome !== 'finished' && row.reason && html` <small class="soft">${row.reason}</small>`}</td>
    <td>${row.tier && html`<span class=${`tag ${row.tier}`}>${row.tier}</span>`}</td>
    <td class="name"><bdi>${row.tenant}</bdi></td><td class="name"><bdi>${row.model}</bdi></td>
    <td>${ms(row.queue_ms)}</td><td>${ms(row.ttft_ms)}</td><td>${ms(row.total_ms)}</td>
    <td>${count(row.prompt_tokens)}</td><td>${count(row.output_tokens)}</td>
    <td>${row.preemptions === 0 ? '' : `${row.preemptions}×`}</td><td>${cost(row.cost)}</td></tr>`
}
