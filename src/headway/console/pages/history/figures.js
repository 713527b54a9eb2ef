// @ts-check
// Figures over time: how long requests took, how many there were, tokens, cost.

import { html, useMemo, useState } from '../../vendor/libraries.js'
import { useAnswer } from '../../parts/answer.js'
import { Chart } from '../../parts/chart.js'
import { cost, count, ms, plural } from '../../parts/format.js'
import { historyAddress } from './filters.js'

const BY = ['tenant', 'model', 'tier', 'outcome']
/** @type {Record<string, string>} */
const MEASURES = { latency: 'Latency', ttft: 'Time to first token', wait: 'Wait' }
const SHARES = ['p50', 'p90', 'p99']
const COLOURS = ['--l1', '--l2', '--l3', '--l4', '--l5', '--l6', '--l7', '--l8', '--soft']
/** @type {Record<string, string>} */
const TAKEN = { key: 'API key', program: 'run', min_latency_ms: 'slowness', min_ttft_ms: 'slowness', min_wait_ms: 'slowness' }

/** @typedef {{name: string | null, [figure: string]: any}} Line */

/**
 * @param {object} props
 * @param {URLSearchParams} props.query of the page
 * @param {URLSearchParams} props.asked
 * @param {string[]} props.leavesOut filters that figures do not know
 */
export function Figures({ query, asked, leavesOut }) {
  const [measure, setMeasure] = useState('latency')
  const by = BY.includes(query.get('by') ?? '') ? /** @type {string} */ (query.get('by')) : ''
  const path = new URLSearchParams([...asked, ['measure', measure], ...(by ? [['by', by]] : [])])
  const { answer, error, busy } = useAnswer(`v1/headway/history/series?${path}`)
  return html`<section aria-label="Figures" aria-busy=${busy}>
    <div class="row head"><h2>Figures</h2>
      <span class="soft">${answer ? `each point: ${step(answer.step_s)}` : ''}</span>
      <span class="space"></span>
      <label class="unseen" for="measure">Which time</label>
      <select id="measure" value=${measure} onChange=${(/** @type {any} */ event) => setMeasure(event.target.value)}>
        ${Object.entries(MEASURES).map(([name, label]) => html`<option value=${name}>${label}</option>`)}</select>
      <label class="unseen" for="by">A line for each</label>
      <select id="by" value=${by} onChange=${(/** @type {any} */ event) => { location.hash = historyAddress(query, { by: event.target.value }) }}>
        <option value="">all together</option>
        ${BY.map(one => html`<option value=${one}>by ${one}</option>`)}</select></div>
    ${leavesOut.length > 0 && html`<p class="soft">Figures are not narrowed down by ${[...new Set(leavesOut.map(name => TAKEN[name]))].join(' and ')}; the requests below are.</p>`}
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${answer && html`<${Charts} key=${by} answer=${answer} by=${by} measure=${measure} until=${Number(asked.get('until'))}/>
      <${Sums} lines=${answer.lines} by=${by} measure=${measure}/>`}
  </section>`
}

/** @param {number} step_s */
function step(step_s) {
  const [length, unit] = step_s < 3600 ? [step_s / 60, 'minute'] : step_s < 86400 ? [step_s / 3600, 'hour'] : [step_s / 86400, 'day']
  return plural(length, unit)
}

/** @param {Line} line @param {string} by */
function called(line, by) {
  return line.name === null ? (by ? 'all others' : 'all') : line.name || `no ${by}`
}

/** @param {{answer: any, by: string, measure: string, until: number}} props */
function Charts({ answer, by, measure, until }) {
  const { times, step_s } = answer
  /** How long a step is: the last one may have just begun. @param {number} place */
  const length = place => Math.max(1, Math.min(step_s, until - times[place]))
  /** @type {Line[]} */
  const lines = answer.lines
  /** @param {(line: Line) => (number | null)[]} of */
  const each = of => ({
    data: [times, ...lines.map(of)],
    lines: lines.map((line, number) => ({ label: called(line, by), colour: COLOURS[number] }))
  })
  const charts = useMemo(() => [
    { title: by ? `${MEASURES[measure]}, 99th percentile` : MEASURES[measure],
      axes: { show: ms, least: 1, days: true },
      ...(by ? each(line => line.percentiles_ms.p99) : {
        data: [times, ...SHARES.map(share => lines[0].percentiles_ms[share])],
        lines: SHARES.map((share, number) => ({ label: share, colour: COLOURS[number] }))
      }) },
    { title: 'Requests a minute', axes: { show: few, least: 0.01, days: true },
      ...each(line => line.requests.map((/** @type {number} */ one, /** @type {number} */ place) => one * 60 / length(place))) },
    { title: 'Output tokens a second', axes: { show: few, least: 0.01, days: true },
      ...each(line => line.output_tokens.map((/** @type {number} */ one, /** @type {number} */ place) => one / length(place))) },
    ...(lines.some(line => line.whole.cost > 0) ? [{ title: `Cost, each ${step(step_s).replace(/^1 /, '')}`, axes: { show: cost, least: 0.000001, days: true },
      ...each(line => line.cost) }] : [])
  ], [answer, by, measure])
  return html`<div class="charts">${charts.map(one => html`
    <div key=${one.title}><h3>${one.title}</h3>
      <${Chart} label=${`${one.title} over time; the table below has it for the whole time`}
        data=${one.data} lines=${one.lines} axes=${one.axes} height=${160}/></div>`)}</div>`
}

/** @param {number} value */
function few(value) {
  return value >= 10 || value === 0 ? count(value) : value.toPrecision(2)
}

/** @param {{lines: Line[], by: string, measure: string}} props */
function Sums({ lines, by, measure }) {
  return html`<div class="wide" tabindex="0" role="region" aria-label="The whole time, a table"><table class="sums"><thead><tr>
      <th scope="col">${by ? by[0].toUpperCase() + by.slice(1) : 'Requests of'}</th><th scope="col">Requests</th>
      ${SHARES.map(share => html`<th scope="col">${MEASURES[measure]}, ${share}</th>`)}
      <th scope="col">Prompt tokens</th><th scope="col">Output tokens</th><th scope="col">Cost</th></tr></thead>
    <tbody>${lines.map((line, number) => html`<tr key=${line.name}>
      <th scope="row">${by !== '' && html`<i class="dash" style=${{ background: `var(${COLOURS[number]})` }}></i>`}<bdi>${called(line, by)}</bdi></th>
      <td>${count(line.whole.requests)}</td>
      ${SHARES.map(share => html`<td>${ms(line.whole.percentiles_ms[share])}</td>`)}
      <td>${count(line.whole.prompt_tokens)}</td><td>${count(line.whole.output_tokens)}</td>
      <td>${cost(line.whole.cost || null)}</td></tr>`)}</tbody></table></div>
    ${!lines.some(line => line.whole.cost > 0) && html`<p class="soft small">These cost nothing, or have <a href="#/costs">no price</a>.</p>`}`
}
