// @ts-check
// Two versions of a prompt: what differs, how each does on the test cases, both in the playground.

import { html, useMemo } from '../../vendor/libraries.js'
import { Diff, diff, summary } from '../../parts/diff.js'
import { promptAddress, versionName } from './place.js'
import { Trials } from './trials.js'

/** @param {{entry: any, files: any, query: URLSearchParams}} props */
export function Compare({ entry, files, query }) {
  const [from, to] = chosen(entry, query)
  /** @param {Record<string, string>} change */
  const go = change => {
    location.hash = promptAddress(entry.name, { from: `${from}`, to: `${to}`, ...change })
  }
  const textOf = (/** @type {number} */ version) =>
    files.versions.find((/** @type {any} */ one) => one.version === version)?.text ?? ''
  const [before, after] = [textOf(from), textOf(to)]
  const rows = useMemo(() => diff(before, after), [before, after])
  const trials = html`<${Trials} key=${`${from} ${to}`} entry=${entry} cases=${files.cases} versions=${from === to ? [from] : [from, to]}/>`
  if (entry.versions.length === 1) {
    return html`<section aria-label="Try it"><div class="row head"><h2>Try it</h2>
      <span class="soft">there is one version; write a second one to compare them</span><span class="space"></span>
      <a class="button" href=${`#/playground?${new URLSearchParams({ prompt: entry.name })}`}>Try it in the playground</a></div>${trials}</section>`
  }
  return html`<section aria-label="Compare two versions">
    <div class="row head"><h2>Compare</h2>
      <${Choice} label="Version" entry=${entry} value=${from} onSet=${(/** @type {string} */ version) => go({ from: version })}/>
      <${Choice} label="with" entry=${entry} value=${to} onSet=${(/** @type {string} */ version) => go({ to: version })}/>
      <span class="space"></span>
      <a class="button" href=${`#/playground?${new URLSearchParams([
        ['prompt', `${entry.name}@${from}`], ['prompt', `${entry.name}@${to}`]])}`}>Try both in the playground</a></div>
    <p>${summary(rows)}</p>
    ${before !== after && html`<${Diff} rows=${rows} label=${`From version ${from} to ${to}`}/>`}
    ${trials}</section>`
}

/**
 * The two that are compared: those in the address, else what requests get and the newest.
 * @param {any} entry @param {URLSearchParams} query @returns {[number, number]}
 */
function chosen(entry, query) {
  const all = entry.versions.map((/** @type {any} */ one) => one.version)
  const named = (/** @type {string} */ name) => {
    const asked = query.get(name) ?? ''
    const number = entry.aliases[asked] ?? Number(asked)
    return all.includes(number) ? number : undefined
  }
  const to = named('to') ?? all[all.length - 1]
  const others = all.filter((/** @type {number} */ one) => one !== to)
  const usual = entry.default !== to && all.includes(entry.default) ? entry.default : others[others.length - 1]
  return [named('from') ?? usual ?? to, to]
}

/** @param {{label: string, entry: any, value: number, onSet: (version: string) => void}} props */
function Choice({ label, entry, value, onSet }) {
  const id = `compare-${label}`
  return html`<span class="inline"><label for=${id}>${label}</label><select id=${id} value=${value}
    onChange=${(/** @type {any} */ event) => onSet(event.target.value)}>
    ${entry.versions.map((/** @type {any} */ one) => html`
      <option value=${one.version}>${versionName(entry, one.version)}</option>`)}</select></span>`
}
