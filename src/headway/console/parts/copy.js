// @ts-check
// Text to take along.

import { html } from '../vendor/libraries.js'
import { say } from './dialog.js'

/** A button that copies. @param {{text: string}} props */
export function Copy({ text }) {
  async function copy() {
    try {
      await navigator.clipboard.writeText(text)
      say('Copied.')
    } catch { say('The browser does not let this page copy; select the text.') }
  }
  return html`<button class="quiet" onClick=${copy}>Copy</button>`
}
