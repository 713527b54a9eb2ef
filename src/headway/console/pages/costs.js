// @ts-check
// Costs and budgets: what was spent, by whom, what may still be, and what has no price.

import { html, useMemo, useState } from '../vendor/libraries.js'
import { useAnswer } from '../parts/answer.js'
import { Chart } from '../parts/chart.js'
import { cost, count, plural } from '../parts/format.js'
import { Budgets } from './costs/budgets.js'
import { Groups } from './costs/groups.js'
import { Unpriced } from './costs/unpriced.js'

const EVERY_S = 30

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const [month] = useState(() => new Date().toISOString().slice(0, 7))
  const { answer, error, busy } = useAnswer(`v1/headway/costs?by=day&since=${month}-01`, EVERY_S)
  if (answer === null) {
    return html`<h1>Costs</h1>${error
      ? html`<section><p class="error" role="alert">${error}</p></section>`
      : html`<p class="soft" role="status">Adding up …</p>`}`
  }
  const today = answer.groups.find((/** @type {any} */ one) => one.group.day === new Date().toISOString().slice(0, 10))
  return html`<h1>Costs</h1>
    <section aria-label="Spent" aria-busy=${busy}>
      <dl class="figures">
        <div><dt>Today</dt><dd>${spent(today)}</dd></div>
        <div><dt>This month</dt><dd>${spent(answer.total)}</dd></div>
        <div><dt>Requests this month</dt><dd>${count(answer.total.requests)}</dd></div>
        <div><dt>Tokens this month</dt><dd>${count(answer.total.prompt_tokens + answer.total.output_tokens)}</dd></div>
      </dl>
      ${answer.groups.length > 1 && html`<${Days} days=${answer.groups}/>`}
      <p class="soft small">In the currency of your prices. Days and months begin at midnight UTC.</p>
    </section>
    <${Unpriced} unpriced=${answer.unpriced} total=${answer.total}/>
    <${Budgets} budgets=${answer.budgets}/>
    <${Groups} query=${query}/>`
}

/** @param {any} sums */
function spent(sums) {
  if (!sums) return '0'
  const unpriced = sums.unpriced > 0 && html`<small>${plural(sums.unpriced, 'request')} without a price</small>`
  return sums.cost === null && unpriced ? unpriced : html`${cost(sums.cost)}${unpriced && html`<small> and </small>${unpriced}`}`
}

/** @param {{days: any[]}} props */
function Days({ days }) {
  const data = useMemo(() => [
    days.map(one => Date.parse(one.group.day) / 1000),
    days.map(one => one.cost)
  ], [days])
  return html`<${Chart} label="Cost of each day of this month" data=${data} height=${140}
    lines=${[{ label: 'cost of a day', colour: '--accent', filled: true }]} axes=${{ show: cost, least: 0.000001, days: true }}/>`
}
