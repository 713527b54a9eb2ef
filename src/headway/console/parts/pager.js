// @ts-check
// Pages of a list, the newest first.

import { html } from '../vendor/libraries.js'

/**
 * @param {object} props
 * @param {string[]} props.before where the pages up to the present one begin
 * @param {string | null | undefined} props.next where the one behind it begins; none: there is none
 * @param {(before: string[]) => void} props.onPage
 */
export function Pager({ before, next, onPage }) {
  return html`<p class="row end">
    <button disabled=${before.length === 0} onClick=${() => onPage(before.slice(0, -1))}>Newer</button>
    <button disabled=${!next} onClick=${() => onPage([...before, /** @type {string} */ (next)])}>Older</button></p>`
}
