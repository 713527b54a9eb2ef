// @ts-check
// Batches: how far each is, when it ends, what it cost and what failed.

import { html } from '../vendor/libraries.js'
import { useAnswer } from '../parts/answer.js'
import { Pager } from '../parts/pager.js'
import { Batch } from './batches/batch.js'

const ROWS = 20
const EVERY_S = 2

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const before = query.getAll('after')
  const asked = new URLSearchParams({ limit: `${ROWS}` })
  if (before.length > 0) asked.set('after', before[before.length - 1])
  const { answer, error, again } = useAnswer(`v1/batches?${asked}`, EVERY_S)
  const go = (/** @type {string[]} */ after) => {
    location.hash = `#/batches?${new URLSearchParams(after.map(one => ['after', one]))}`
  }
  const paged = before.length > 0 || answer?.has_more
  return html`<h1>Batches</h1>
    ${error && html`<section><p class="error" role="alert">${error}</p></section>`}
    ${answer === null && !error && html`<p class="soft" role="status">Looking …</p>`}
    ${answer?.data.length === 0 && before.length === 0 && html`<${None}/>`}
    ${answer?.data.map((/** @type {any} */ one) => html`<${Batch} key=${one.id} batch=${one} onChange=${again}/>`)}
    ${paged && html`<${Pager} before=${before} next=${answer?.has_more ? answer.last_id : null} onPage=${go}/>`}`
}

function None() {
  return html`<section><h2>No batches yet</h2>
    <p>A batch is a file of requests, one a line, which are answered within a day in the room that
    live requests leave. Begin one:</p>
    <div class="code"><pre tabindex="0">headway batch run requests.jsonl --url ${new URL('.', location.href).href.replace(/\/$/, '')}</pre></div>
    <p class="soft small">OpenAI's client does it too: files.create, then batches.create.</p></section>`
}
