// @ts-check
// What is asked: of which traffic, on which engine, which settings.

import { html, signal } from '../../vendor/libraries.js'
import { session } from '../../parts/session.js'

/** @type {Record<string, string>} */
const ABOUT = {
  policies: 'Which policy pays?', settings: 'Which settings meet an SLO?', engines: 'How many engines meet an SLO?'
}
/** @type {Record<string, number>} */
const SPANS = { '15 minutes': 900, hour: 3600, '6 hours': 6 * 3600, day: 86400, week: 7 * 86400 }
const FILE = 'file'

/**
 * @typedef {object} Question
 * @property {string} about
 * @property {string} traffic a key of SPANS, or FILE
 * @property {File | null} file
 * @property {string} profile empty: the gateway's own engine
 * @property {string[]} policies
 * @property {string} order the policy of engines that are counted; empty: the one that runs now
 * @property {string} slots
 * @property {string} slo
 */

/** Stays while one looks at other pages. @type {import('../../vendor/libraries.js').Signal<Question>} */
export const question = signal({
  about: 'policies', traffic: 'hour', file: null, profile: '', order: '', slots: '', slo: 'ttft_p95=1s',
  policies: ['fcfs', 'sjf', 'srpt', 'hrrn', 'boost']
})

/** @param {Question} one @returns {{asked: any, file: File | null}} as the gateway takes it */
export function asAsked(one) {
  const file = one.traffic === FILE ? one.file : null
  return {
    file,
    asked: {
      about: one.about, window_s: SPANS[one.traffic] ?? SPANS.hour, profile: one.profile,
      policies: one.about === 'engines' ? [one.order].filter(Boolean) : one.policies, slots: one.about === 'policies' ? numbersIn(one.slots) ?? [] : [],
      slo: one.about === 'policies' ? '' : one.slo, file: file?.name ?? ''
    }
  }
}

/** @param {string} text @returns {number[] | null} null: it is no list of numbers */
function numbersIn(text) {
  const parts = text.split(/[\s,]+/).filter(part => part !== '')
  return parts.every(part => /^[1-9]\d{0,5}$/.test(part)) ? parts.map(Number) : null
}

/** @param {Partial<Question>} change */
function alter(change) {
  question.value = { ...question.value, ...change }
}

/** @param {{choices: any, busy: boolean, onAsk: (choices: any) => void}} props */
export function Question({ choices, busy, onAsk }) {
  const one = question.value
  const fromFile = one.traffic === FILE || !choices.log
  const ready = (!fromFile || one.file !== null) && (choices.log || one.profile !== '') && numbersIn(one.slots) !== null &&
    (one.about === 'policies' ? one.policies.length > 0 : one.slo.trim() !== '')
  /** @param {Event} event */
  function submit(event) {
    event.preventDefault()
    if (!ready || busy) return
    if (fromFile) alter({ traffic: FILE })
    onAsk(choices)
  }
  return html`<section aria-label="Question"><form class="question" onSubmit=${submit}>
    <div class="row about" role="group" aria-label="Question">${Object.entries(ABOUT).map(([about, label]) => html`
      <button type="button" aria-pressed=${one.about === about ? 'true' : 'false'}
        onClick=${() => alter({ about })}>${label}</button>`)}</div>
    <div class="filters">
      <label><span>Traffic</span><select value=${fromFile ? FILE : one.traffic}
        onChange=${(/** @type {any} */ event) => alter({ traffic: event.target.value })}>
        ${choices.log && Object.keys(SPANS).map(span => html`<option value=${span}>the last ${span}</option>`)}
        <option value=${FILE}>of a trace file</option></select></label>
      ${fromFile && html`<label><span>Trace</span><input type="file"
        onChange=${(/** @type {any} */ event) => alter({ file: event.target.files[0] ?? null })}/></label>`}
      <label><span>Engine</span><select value=${one.profile}
        onChange=${(/** @type {any} */ event) => alter({ profile: event.target.value })}>
        ${choices.log && html`<option value="">this gateway's own, by its log</option>`}
        ${!choices.log && html`<option value="">choose a profile</option>`}
        ${choices.profiles.map((/** @type {string} */ name) => html`<option value=${name}>${name}</option>`)}</select></label>
      ${one.about === 'policies'
        ? html`<label><span>Further numbers of slots</span><input value=${one.slots} placeholder="such as 4, 8" inputmode="numeric"
            aria-invalid=${numbersIn(one.slots) === null ? 'true' : null}
            onInput=${(/** @type {any} */ event) => alter({ slots: event.target.value })}/></label>`
        : html`${one.about === 'engines' && html`<label><span>Policy</span><select value=${one.order}
            onChange=${(/** @type {any} */ event) => alter({ order: event.target.value })}>
            <option value="">${choices.policy}, as now</option>
            ${(session.value?.policies ?? []).map(({ name }) => html`<option value=${name}>${name}</option>`)}</select></label>`}
          <label><span>SLO</span><input value=${one.slo} placeholder="ttft_p95=1s" spellcheck=${false} aria-describedby="slo"
            onInput=${(/** @type {any} */ event) => alter({ slo: event.target.value })}/></label>`}
    </div>
    ${numbersIn(one.slots) === null && html`<p class="error small">Slots are whole numbers with commas between, such as 4, 8.</p>`}
    ${one.about !== 'policies' && html`<p class="soft small" id="slo">A statistic of all requests, as
      ${' '}<code>ttft_p95=1s</code> or <code>latency_mean=10s</code>; or limits of each and the share within them, as
      ${' '}<code>ttft=1s,tpot=50ms,goodput=95%</code>.</p>`}
    ${one.about !== 'engines' && html`<${Policies} now=${choices.policy} chosen=${one.policies}/>`}
    <p class="row"><button class="main" disabled=${!ready || busy}>Replay</button>
      ${!choices.log && one.profile === '' && html`<span class="soft small">Choose a profile of an engine: without a request log its own is not known.</span>`}
      ${fromFile && one.file === null && html`<span class="soft small">Choose a file: CSV, JSON lines, Parquet or a request log.</span>`}</p>
  </form></section>`
}

/** @param {{now: string, chosen: string[]}} props */
function Policies({ now, chosen }) {
  const all = session.value?.policies ?? []
  return html`<fieldset class="policies"><legend>Policies</legend>${all.map(({ name, about }) => html`
    <label title=${about} class=${name === now ? 'now' : ''}><input type="checkbox" checked=${name === now || chosen.includes(name)} disabled=${name === now}
      onChange=${(/** @type {any} */ event) => alter({
        policies: event.target.checked ? [...chosen, name] : chosen.filter(one => one !== name)
      })}/><i class=${`dot c-${name}`}></i>${name}${name === now && html`<small class="soft"> now</small>`}</label>`)}</fieldset>`
}
