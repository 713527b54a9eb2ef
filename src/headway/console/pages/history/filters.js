// @ts-check
// Which requests are shown. All of it is in the address, so that it can be kept and sent.

import { html } from '../../vendor/libraries.js'
import { TIERS } from '../../parts/actions.js'

/** Stretches of time up to now, in seconds. @type {Record<string, number>} */
const SPANS = { hour: 3600, '6 hours': 6 * 3600, day: 86400, week: 7 * 86400, month: 30 * 86400, year: 365 * 86400 }
const FIRST = 'day'
const OUTCOMES = ['finished', 'cancelled', 'rejected', 'failed']
const SLOW = { min_latency_ms: 'Latency', min_ttft_ms: 'First token', min_wait_ms: 'Wait' }
const NAMES = ['tenant', 'model', 'tier', 'outcome', 'key', 'program', ...Object.keys(SLOW)]

/** What figures can be narrowed down by. */
export const FIGURES_TAKE = ['since', 'until', 'tenant', 'model', 'tier', 'outcome']

/** @param {URLSearchParams} query @returns {Record<string, string>} as the gateway takes them */
export function filtersOf(query) {
  return Object.fromEntries([...query].filter(([name, value]) => NAMES.includes(name) && value !== ''))
}

/** @param {URLSearchParams} query @returns {{since: string, until: string}} */
export function spanOf(query) {
  const now = Date.now() / 1000
  const until = query.get('until') ?? `${Math.ceil(now)}`
  const since = query.get('since')
  if (since !== null) return { since, until }
  const span = SPANS[query.get('span') ?? FIRST] ?? SPANS[FIRST]
  return { since: `${Math.floor(now - span)}`, until }
}

/**
 * The address of this page with other values.
 * @param {URLSearchParams} query
 * @param {Record<string, string | string[]>} changes an empty one is left out
 */
export function historyAddress(query, changes) {
  const next = new URLSearchParams(query)
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name)
    for (const one of [value].flat()) if (one !== '') next.append(name, one)
  }
  return `#/history?${next}`
}

/** @param {{query: URLSearchParams}} props */
export function Filters({ query }) {
  const slow = Object.keys(SLOW).find(name => query.has(name)) ?? 'min_latency_ms'
  const least = query.get(slow)
  /** @param {Record<string, string>} changes */
  const go = changes => { location.hash = historyAddress(query, { after: '', ...changes }) }
  /** @param {string} measure @param {string} seconds */
  const slower = (measure, seconds) => go({
    min_latency_ms: '', min_ttft_ms: '', min_wait_ms: '',
    [measure]: seconds === '' ? '' : `${Math.round(Number(seconds) * 1000)}`
  })
  const set = Object.keys(filtersOf(query)).length
  return html`<section aria-label="Filters" class="filters">
    <${Choice} label="Time" value=${query.get('span') ?? FIRST} values=${Object.keys(SPANS)} all=""
      show=${(/** @type {string} */ one) => `last ${one}`}
      onSet=${(/** @type {string} */ span) => go({ span, since: '', until: '' })}/>
    <${Text} label="Request" name="id" query=${query} onSet=${go} hint="its id"/>
    <${Text} label="Tenant" name="tenant" query=${query} onSet=${go}/>
    <${Text} label="Model" name="model" query=${query} onSet=${go}/>
    <${Choice} label="Tier" value=${query.get('tier') ?? ''} values=${TIERS} all="all tiers"
      onSet=${(/** @type {string} */ tier) => go({ tier })}/>
    <${Choice} label="Outcome" value=${query.get('outcome') ?? ''} values=${OUTCOMES} all="all outcomes"
      onSet=${(/** @type {string} */ outcome) => go({ outcome })}/>
    <${Text} label="API key" name="key" query=${query} onSet=${go}/>
    <${Text} label="Run" name="program" query=${query} onSet=${go}/>
    <fieldset><legend>At least, in seconds</legend>
      <label class="unseen" for="slow">What is slow</label>
      <select id="slow" value=${slow} onChange=${(/** @type {any} */ event) => {
        if (least !== null) slower(event.target.value, `${Number(least) / 1000}`)
      }}>${Object.entries(SLOW).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select>
      <label class="unseen" for="least">Seconds</label>
      <input id="least" type="number" min="0" step="any" inputmode="decimal" placeholder="any"
        value=${least === null ? '' : Number(least) / 1000}
        onChange=${(/** @type {any} */ event) => slower(
          /** @type {HTMLSelectElement} */ (document.getElementById('slow')).value, event.target.value)}/>
    </fieldset>
    ${set > 0 && html`<a class="clear" href=${historyAddress(new URLSearchParams(), { span: query.get('span') ?? '' })}>Clear ${set === 1 ? 'the filter' : `${set} filters`}</a>`}
  </section>`
}

/** @param {{label: string, name: string, query: URLSearchParams, onSet: (changes: Record<string, string>) => void, hint?: string}} props */
function Text({ label, name, query, onSet, hint = 'any' }) {
  return html`<label><span>${label}</span>
    <input type="search" value=${query.get(name) ?? ''} placeholder=${hint} autocomplete="off" maxlength="256"
      dir="auto" onChange=${(/** @type {any} */ event) => onSet({ [name]: event.target.value.trim() })}/></label>`
}

/** @param {{label: string, value: string, values: string[], all: string, show?: (value: string) => string, onSet: (value: string) => void}} props */
function Choice({ label, value, values, all, show = one => one, onSet }) {
  return html`<label><span>${label}</span>
    <select value=${value} onChange=${(/** @type {any} */ event) => onSet(event.target.value)}>
      ${all && html`<option value="">${all}</option>`}
      ${values.map(one => html`<option value=${one}>${show(one)}</option>`)}
    </select></label>`
}
