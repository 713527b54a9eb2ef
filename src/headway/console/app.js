// @ts-check
// The frame of the console: navigation, the page that the address names, sign-in.

import { html, render, signal, useEffect } from './vendor/libraries.js'
import { PAGES } from './pages.js'
import { Dialogs } from './parts/dialog.js'
import { gatewayLost, loadSession, seesAll, session, signOut } from './parts/session.js'
import { SignIn } from './parts/sign_in.js'

/**
 * What is shown: the page that the part of the address after `#/` names, and what it is asked.
 * @typedef {{page: import('./pages.js').Page, query: URLSearchParams, Page: any}} Place
 */

/** @type {import('./vendor/libraries.js').Signal<Place | null>} */
const place = signal(null)

/** Go where the address points. What was shown stays until the page has come. */
async function go() {
  const { hash } = location
  const [name, query] = hash.replace(/^#\/?/, '').split('?')
  const page = PAGES.find(one => one.name === name) ?? PAGES[0]
  const { Page } = await page.load().catch(() => ({ Page: NotLoaded }))
  if (location.hash === hash) place.value = { page, query: new URLSearchParams(query ?? ''), Page }
}

function NotLoaded() {
  return html`<h1>This page did not come</h1>
    <p role="alert">The gateway did not answer, or was updated. <button onClick=${() => location.reload()}>Load again</button></p>`
}

/** @param {Place} props */
function Frame({ page, query, Page }) {
  useEffect(() => {
    document.title = `${page.title} · Headway`
    // On a phone the pages are a line that scrolls.
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [page])
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to the content</a>
    <header class="top">
      <a class="brand" href="#/${PAGES[0].name}"><img src="console/icon.svg" alt="" width="24" height="24"/>Headway</a>
      <nav aria-label="Pages">
        ${PAGES.filter(one => !one.ofAll || seesAll()).map(one => html`
          <a href="#/${one.name}" aria-current=${one === page ? 'page' : null}>${one.title}</a>`)}
      </nav>
      <${Who}/>
    </header>
    ${gatewayLost.value && html`<p class="strip bad" role="status">${gatewayLost.value}</p>`}
    <main id="main" tabindex="-1"><${Page} query=${query}/></main>
    <${Dialogs}/>`
}

/** @param {Event} event */
function skip(event) {
  event.preventDefault()
  document.getElementById('main')?.focus()
}

function Who() {
  const now = session.value
  if (now?.viewer == null) return html`<span class="viewer">on this machine</span>`
  const { name, admin, read_only } = now.viewer
  const role = [admin ? 'admin' : '', read_only ? 'read-only' : ''].filter(Boolean).join(', ')
  return html`<span class="viewer"><span>${name}${role && ` (${role})`}</span>
    <button class="quiet" onClick=${signOut}>Log out</button></span>`
}

function App() {
  const now = session.value
  if (now === null || place.value === null) {
    return html`<p class="strip" role="status">${gatewayLost.value || 'Asking the gateway …'}</p>`
  }
  const inside = now.access === 'open' || now.access === 'signed_in'
  return inside ? html`<${Frame} ...${place.value}/>` : html`<${SignIn}/>`
}

render(html`<${App}/>`, /** @type {HTMLElement} */ (document.getElementById('app')))
addEventListener('hashchange', go)
go()
loadSession()
