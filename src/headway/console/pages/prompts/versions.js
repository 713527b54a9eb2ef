// @ts-check
// The versions of a prompt, what they take, and which one requests get.

import { html, useState } from '../../vendor/libraries.js'
import { mayOperate } from '../../parts/actions.js'
import { confirm } from '../../parts/dialog.js'
import { ask, seesAll } from '../../parts/session.js'
import { aliasesOf, promptAddress } from './place.js'

/** @param {{entry: any, onSaved: () => void}} props */
export function Versions({ entry, onSaved }) {
  return html`<section aria-label="Versions">
    <div class="row head"><h2>Versions</h2>
      <span class="soft">requests that name none get version ${entry.default}</span><span class="space"></span>
      ${mayOperate() && html`<a class="button" href=${promptAddress(entry.name, { open: 'new' })}>New version</a>`}</div>
    <div class="wide" tabindex="0" role="region" aria-label="Versions, a table"><table class="versions"><thead><tr>
      <th scope="col">Version</th><th scope="col">Alias</th><th scope="col">State</th><th scope="col" class="extra">Variables</th>
      <th scope="col" class="extra">Model</th><th scope="col"><span class="unseen">Actions</span></th></tr></thead>
    <tbody>${[...entry.versions].reverse().map(one => html`<tr key=${one.version}>
      <th scope="row">${one.version}</th>
      <td>${aliasesOf(entry, one.version).join(', ')}</td>
      <td>${one.usable ? (one.published ? 'published' : 'draft') : html`<span class="late">its file is wrong</span>`}</td>
      <td class="extra">${one.variables.map((/** @type {any} */ variable, /** @type {number} */ place) => html`${place > 0 && ', '}<span
        title=${variable.description}>${variable.name}${variable.required ? '' : ' (optional)'}</span>`)}</td>
      <td class="extra"><bdi>${one.model ?? ''}</bdi></td>
      <td class="row end">
        ${seesAll() && html`<a href=${promptAddress(entry.name, { open: `${one.version}` })}>Open<span class="unseen"> version ${one.version}</span></a>`}
        ${one.usable && html`<a href=${`#/playground?${new URLSearchParams({ prompt: `${entry.name}@${one.version}` })}`}>Try<span class="unseen"> version ${one.version}</span></a>`}
        ${mayOperate() && one.usable && html`<button class="quiet" onClick=${() => publish(entry, one.version, onSaved)}>Publish<span class="unseen"> version ${one.version}</span> …</button>`}
      </td></tr>`)}</tbody></table></div></section>`
}

/** @param {any} entry @param {number} version @param {() => void} onSaved */
function publish(entry, version, onSaved) {
  let alias = 'production'
  confirm({
    title: `Publish ${entry.name}@${version}?`,
    body: html`<${Alias} entry=${entry} version=${version} onChoice=${(/** @type {string} */ name) => { alias = name }}/>`,
    act: 'Publish',
    onAct: async () => {
      const path = `v1/headway/prompts/${encodeURIComponent(entry.name)}/aliases/${encodeURIComponent(alias)}`
      const { done } = await ask(path, { json: { version, instead_of: entry.aliases[alias] ?? null } })
      onSaved()
      return done
    }
  })
}

/** @param {{entry: any, version: number, onChoice: (name: string) => void}} props */
function Alias({ entry, version, onChoice }) {
  const [alias, setAlias] = useState('production')
  const now = entry.aliases[alias]
  return html`<p class="row"><label for="alias">Alias</label><input id="alias" value=${alias} list="aliases"
      onInput=${(/** @type {any} */ event) => { setAlias(event.target.value); onChoice(event.target.value) }}/>
      <datalist id="aliases">${Object.keys(entry.aliases).map(one => html`<option value=${one}/>`)}</datalist></p>
    <p>${now === version ? `It means version ${version} already.`
      : now === undefined ? `It will mean version ${version}.`
        : `It means version ${now} now, and will mean version ${version}.`}
      ${alias === 'production' && ' Requests that name no version get it from now on.'}</p>
    <p class="soft">A published version must not change any more. Commit <code>${entry.name}/published.yaml</code> afterwards.</p>`
}
