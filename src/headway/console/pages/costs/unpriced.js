// @ts-check
// What has no price, and how to give it one.

import { html } from '../../vendor/libraries.js'
import { count, plural } from '../../parts/format.js'

const MOST = 10

/** @param {{unpriced: {model: string, backend: string, requests: number, tokens: number}[], total: any}} props */
export function Unpriced({ unpriced, total }) {
  if (unpriced.length === 0) return null
  // A model that answers whole batches runs on no backend, and its answers have no tokens.
  const prices = new Map(unpriced.map(one => [one.model, `{input: 0.10, output: ${one.backend ? '0.40' : '0'}}`]))
  const yaml = ['prices:', '  models:', ...[...prices].slice(0, MOST).map(([model, price]) => `    ${quoted(model)}: ${price}`)].join('\n')
  return html`<section aria-labelledby="unpriced"><h2 id="unpriced">${total.cost === null ? 'There are no prices' : 'Without a price'}</h2>
    <p>What these requests cost is not known, and not in the sums above:</p>
    <ul>${unpriced.slice(0, MOST).map(one => html`<li><bdi>${one.model || 'no model'}</bdi>${one.backend ? html` on <bdi>${one.backend}</bdi>` : ', which answers whole batches'}:
      ${' '}${plural(one.requests, 'request')}, ${count(one.tokens)} tokens</li>`)}</ul>
    ${unpriced.length > MOST && html`<p class="soft">and ${count(unpriced.length - MOST)} more</p>`}
    <p>Give them a price of a million tokens in headway.yaml, in any currency; a running gateway takes it over within two
    seconds, for what it serves from then on. A backend's hour may have a price, too.</p>
    <div class="code"><pre tabindex="0">${yaml}</pre></div></section>`
}

/** As a key of YAML. @param {string} text */
function quoted(text) {
  return /^[A-Za-z][\w./-]*$/.test(text) ? text : JSON.stringify(text)
}
