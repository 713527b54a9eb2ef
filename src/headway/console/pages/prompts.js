// @ts-check
// Registered prompts: compare two versions, run their cases, write and publish new ones.

import { html } from '../vendor/libraries.js'
import { mayOperate } from '../parts/actions.js'
import { useAnswer } from '../parts/answer.js'
import { plural } from '../parts/format.js'
import { seesAll } from '../parts/session.js'
import { Compare } from './prompts/compare.js'
import { Cases, Editor, NewPrompt } from './prompts/editor.js'
import { promptAddress } from './prompts/place.js'
import { Versions } from './prompts/versions.js'

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const { answer, error, again } = useAnswer('v1/headway/prompts')
  const name = query.get('name')
  const entry = answer?.prompts.find((/** @type {any} */ one) => one.name === name)
  if (error) return html`<h1>Prompts</h1><p class="error" role="alert">${error}</p>`
  if (answer === null) return html`<h1>Prompts</h1><p class="soft" role="status">Looking …</p>`
  if (!answer.configured) return html`<${Unconfigured}/>`
  if (query.has('new') && mayOperate()) return html`<${NewPrompt} onSaved=${again}/>`
  if (name === null) return html`<${List} all=${answer}/>`
  if (entry === undefined) {
    return html`<${Back}/><h1>Prompts</h1><p role="alert">There is no prompt ${name} (any more).</p>`
  }
  return html`<${One} key=${name} entry=${entry} query=${query} onSaved=${again}/>`
}

function Unconfigured() {
  return html`<h1>Prompts</h1><section aria-label="What to do">
    <p>This gateway has no registered prompts yet. A prompt is a file with its messages, variables
    and settings, in a folder that you keep under git.</p>
    <p>Copy the examples (or make an empty folder), then start the gateway with it:</p>
    <pre class="body" tabindex="0">cp -r examples/prompts .
headway serve --prompts prompts</pre>
    <p>In <code>headway.yaml</code> the setting is <code>prompts: prompts</code>. Then look here again.</p>
  </section>`
}

/** @param {{all: any}} props */
function List({ all }) {
  return html`<div class="row head"><h1>Prompts</h1><span class="space"></span>
      ${mayOperate() && html`<a class="button" href="#/prompts?new">New prompt</a>`}</div>
    ${all.problems.length > 0 && html`<section aria-label="What is wrong"><h2>What is wrong</h2>
      <ul class="problems">${all.problems.map((/** @type {string} */ one) => html`<li>${one}</li>`)}</ul></section>`}
    <section aria-label="All prompts">
      ${all.prompts.length === 0 ? html`<p class="soft empty">There is none yet.</p>` : html`
        <p class="soft">Open one to compare its versions.</p>
        <ul class="prompts">${all.prompts.map((/** @type {any} */ one) => html`<li key=${one.name}>
          <a href=${promptAddress(one.name)}>${one.name}</a>
          <span class="soft small">${plural(one.versions.length, 'version')}; requests get version ${one.default}</span>
          <span class="about"><bdi>${one.description}</bdi></span></li>`)}</ul>`}
    </section>`
}

/** @param {{entry: any, query: URLSearchParams, onSaved: () => void}} props */
function One({ entry, query, onSaved }) {
  return html`<${Back}/><h1>${entry.name}</h1>
    ${entry.description && html`<p class="soft"><bdi>${entry.description}</bdi></p>`}
    ${seesAll()
      ? html`<${Files} entry=${entry} query=${query} onSaved=${onSaved}/>`
      : html`<${Versions} entry=${entry} onSaved=${onSaved}/>
        <p class="soft">The texts are shown to those who sign in with an admin's key.</p>`}`
}

/** @param {{entry: any, query: URLSearchParams, onSaved: () => void}} props */
function Files({ entry, query, onSaved }) {
  const { answer, error, again } = useAnswer(`v1/headway/prompts/${encodeURIComponent(entry.name)}`)
  const open = query.get('open')
  function saved() {
    onSaved()
    again()
  }
  if (error) return html`<p class="error" role="alert">${error}</p>`
  if (answer === null) return html`<p class="soft" role="status">Looking …</p>`
  return html`
    <${Compare} entry=${entry} files=${answer} query=${query}/>
    <${Versions} entry=${entry} onSaved=${saved}/>
    ${open && html`<${Editor} key=${open} entry=${entry} files=${answer} open=${open} onSaved=${saved}/>`}
    <${Cases} entry=${entry} files=${answer} onSaved=${saved}/>`
}

function Back() {
  return html`<p><a href="#/prompts">All prompts</a></p>`
}
