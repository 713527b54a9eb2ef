// @ts-check
// The request as code, to be sent from elsewhere.

import { html, useState } from '../../vendor/libraries.js'
import { asCurl, asPython } from '../../parts/chat.js'
import { Copy } from '../../parts/copy.js'
import { session } from '../../parts/session.js'

/** Characters that are shown: an image in the request may be megabytes. */
const SHOWN = 20_000

/** Made only while it is open: the page is drawn with each token. @param {{chat: () => any, tier: string}} props */
export function Code({ chat, tier }) {
  const [open, setOpen] = useState(false)
  const [shown, setShown] = useState('curl')
  const keyed = session.value?.access === 'signed_in'
  const text = open ? (shown === 'curl' ? asCurl : asPython)(chat(), tier, keyed) : ''
  return html`<details class="code" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>The request as code</summary>
    <div class="row">${['curl', 'Python'].map(one => html`
      <button class="quiet" aria-pressed=${shown === one ? 'true' : 'false'} onClick=${() => setShown(one)}>${one}</button>`)}
      <span class="space"></span><${Copy} text=${text}/></div>
    <pre tabindex="0">${text.length > SHOWN ? `${text.slice(0, SHOWN)} …` : text}</pre></details>`
}
