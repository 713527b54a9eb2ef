// @ts-check
// The lines of a batch that failed.

import { html } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { count } from '../../parts/format.js'

const MOST = 50
const LONGEST = 500

/** @param {{batch: string, failed: number}} props `failed`: how many there are, so that new ones are asked for */
export function FailedLines({ batch, failed }) {
  const { answer, error } = useAnswer(`v1/batches/${batch}/errors?${new URLSearchParams({ limit: `${Math.min(MOST, failed)}` })}`)
  if (error) return html`<p class="error" role="alert">${error}</p>`
  if (answer === null) return html`<p class="soft" role="status">Looking …</p>`
  return html`<div class="wide" tabindex="0" role="region" aria-label=${`Lines of ${batch} that failed`}><table class="texts"><thead><tr>
      <th scope="col">Line</th><th scope="col">Status</th><th scope="col">Why</th></tr></thead>
    <tbody>${answer.data.map((/** @type {any} */ one) => html`<tr key=${one.custom_id}>
      <th scope="row"><bdi class="mono">${one.custom_id}</bdi></th><td>${one.status ?? 'never ran'}</td>
      <td class="why"><bdi>${one.message.slice(0, LONGEST) || one.code}</bdi></td></tr>`)}</tbody></table></div>
    ${answer.total > answer.data.length && html`<p class="soft small">The first ${count(answer.data.length)} of ${count(answer.total)}; the error file has all of them once the batch is over.</p>`}`
}
