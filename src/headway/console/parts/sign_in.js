// @ts-check
// What is shown to those who have not signed in.

import { html, useState } from '../vendor/libraries.js'
import { session, signIn } from './session.js'

export function SignIn() {
  const [key, setKey] = useState('')
  const [wrong, setWrong] = useState('')
  const [busy, setBusy] = useState(false)
  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault()
    setBusy(true)
    try {
      await signIn(key.trim())
    } catch (error) {
      setWrong(/** @type {Error} */ (error).message)
      setBusy(false)
    }
  }
  if (session.value?.access === 'off') {
    return html`<main class="door"><h1>The console is off</h1>
      <p>This gateway has no API keys and can be reached by other machines. Make a key with
      <code>headway key new NAME</code>, give it <code>admin: true</code>, and sign in with it
      here.</p></main>`
  }
  return html`<main class="door"><h1>Headway</h1>
    <form onSubmit=${submit}>
      <label for="key">API key</label>
      <input id="key" type="password" autocomplete="off" required value=${key}
        aria-describedby="about-key" aria-invalid=${wrong ? 'true' : null}
        onInput=${(/** @type {any} */ event) => setKey(event.target.value)}/>
      <p id="about-key">An admin's key sees everything and may operate the gateway; another key sees
      its own tenant's requests.</p>
      ${wrong && html`<p class="error" role="alert">${wrong}</p>`}
      <button class="main" disabled=${busy}>Sign in</button>
    </form></main>`
}
