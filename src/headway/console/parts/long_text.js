// @ts-check
// Text that may be a megabyte, a piece at a time.

import { html, useState } from '../vendor/libraries.js'
import { count } from './format.js'

const PIECE = 20_000

/** @param {{text: string}} props */
export function LongText({ text }) {
  const [shown, setShown] = useState(PIECE)
  return html`<pre class="body" dir="auto" tabindex="0">${text.slice(0, shown)}</pre>
    ${text.length > shown && html`<p class="row"><span class="soft">${count(shown)} of ${count(text.length)} characters</span>
      <button class="quiet" onClick=${() => setShown(shown + PIECE)}>Show more</button></p>`}`
}
