// @ts-check
// What runs and what waits, live.

import { html } from '../vendor/libraries.js'

export const name = 'now'
export const title = 'Now'

export function Page() {
  return html`<h1>Now</h1>`
}
