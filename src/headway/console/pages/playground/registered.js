// @ts-check
// Registered prompts in the playground: which there are, and one form for the variables of both.

import { html } from '../../vendor/libraries.js'
import { versionName } from '../prompts/place.js'

/** @param {any[]} prompts @param {string} named `name@version`, by number or alias; by name only: what requests get */
export function versionOf(prompts, named) {
  const [name, asked] = named.split('@')
  const entry = prompts.find(one => one.name === name)
  const number = asked === undefined ? entry?.default : entry?.aliases[asked] ?? Number(asked)
  return entry?.versions.find((/** @type {any} */ one) => one.version === number && one.usable) ?? null
}

/** @param {any[]} prompts @param {string} named @returns {string} by number; empty: there is no such version */
export function byNumber(prompts, named) {
  const version = versionOf(prompts, named)
  return version ? `${named.split('@')[0]}@${version.version}` : ''
}

/** @param {{id: string, prompts: any[], value: string, onSet: (prompt: string) => void}} props */
export function PromptChoice({ id, prompts, value, onSet }) {
  return html`<select id=${id} value=${value} onChange=${(/** @type {any} */ event) => onSet(event.target.value)}>
    <option value="">none</option>
    ${prompts.map(entry => html`<optgroup label=${entry.name}>${entry.versions
      .filter((/** @type {any} */ one) => one.usable).map((/** @type {any} */ one) => html`
        <option value=${`${entry.name}@${one.version}`}>${entry.name}@${versionName(entry, one.version)}</option>`)}</optgroup>`)}</select>`
}

/**
 * The variables of both sides' prompts, once.
 * @param {any[]} prompts @param {{prompt: string}[]} sides @returns {any[]}
 */
export function variablesOfBoth(prompts, sides) {
  const found = new Map()
  for (const side of sides) {
    for (const one of versionOf(prompts, side.prompt)?.variables ?? []) {
      const before = found.get(one.name)
      found.set(one.name, before ? { ...before, required: before.required || one.required } : one)
    }
  }
  return [...found.values()]
}

/** @param {{declared: any[], values: Record<string, string>, onSet: (values: Record<string, string>) => void}} props */
export function Variables({ declared, values, onSet }) {
  return html`<fieldset class="variables"><legend>Variables of the prompt</legend>
    ${declared.map(one => html`<label key=${one.name}><span><code>${one.name}</code>${one.required ? '' : ' (optional)'}
        ${one.description && html` <span class="soft">${one.description}</span>`}</span>
      <textarea rows=${one.type === 'string' ? 1 : 2} dir="auto" required=${one.required} value=${values[one.name] ?? ''}
        placeholder=${one.default === null ? (one.type === 'string' ? '' : `${one.type}, as JSON`) : `${typeof one.default === 'string' ? one.default : JSON.stringify(one.default)}`}
        onInput=${(/** @type {any} */ event) => onSet({ ...values, [one.name]: event.target.value })}></textarea></label>`)}
  </fieldset>`
}
