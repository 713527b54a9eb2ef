// @ts-check
// What may be spent, and what is left of it.

import { html } from '../../vendor/libraries.js'
import { cost, count, plural, when } from '../../parts/format.js'

/** @typedef {Record<string, any>} Budget see BudgetView in gateway/api/views.py */

/** @param {{budgets: Budget[]}} props */
export function Budgets({ budgets }) {
  return html`<section aria-labelledby="budgets"><h2 id="budgets">Budgets</h2>
    ${budgets.length === 0 ? html`<p class="soft empty">Nobody has a budget. An operator gives one to a key
        (budget: under keys), to a tenant (tenant_budgets) or to all batches (batch.budget) in headway.yaml.</p>`
      : html`<ul class="budgets">${[...budgets].sort((one, other) => used(other) - used(one)).map(one => html`
          <${Line} key=${`${one.scope} ${one.name} ${one.unit} ${one.period}`} budget=${one}/>`)}</ul>`}</section>`
}

/** @param {Budget} budget @returns {number} its share that is spent or reserved */
function used(budget) {
  return budget.limit === 0 ? 1 : (budget.spent + budget.reserved) / budget.limit
}

/** @param {{budget: Budget}} props */
function Line({ budget }) {
  const { scope, name, unit, period, limit, spent, reserved, refused, downgraded } = budget
  const amount = unit === 'money' ? cost : count
  const whole = Math.max(limit, spent + reserved, 1e-9)
  const isSpent = spent >= limit
  return html`<li>
    <span class="name">${scope === 'batches' ? 'All batches' : html`<span class="soft">${scope}</span> <bdi>${name}</bdi>`}</span>
    <span>${amount(spent)} of ${amount(limit)}${unit === 'tokens' ? ' tokens' : ''} ${PERIODS[period]}${isSpent && html`: <strong class="late">spent</strong>`}</span>
    <span class="far" aria-hidden="true"><i class=${isSpent ? 'failed' : 'done'} style=${{ width: `${isSpent ? 100 : 100 * spent / whole}%` }}></i>
      <i class="waiting" style=${{ width: `${100 * reserved / whole}%` }}></i></span>
    <small class="soft">${reserved > limit * ROUNDED && `${amount(reserved)} reserved by requests under way. `}${
      refused > 0 && html`<strong class="late">${plural(refused, 'request')} refused</strong> ${PERIODS[period]}. `}${
      downgraded > 0 && html`<strong class="late">${plural(downgraded, 'request')} downgraded</strong> ${PERIODS[period]}. `}${
      isSpent ? AFTER[scope === 'batches' ? 'wait' : budget.when_spent] : ''}Begins anew ${when(budget.resets_at)}.</small></li>`
}

/** Sums of fractions leave so much, and nobody has reserved it. */
const ROUNDED = 1e-9
/** @type {Record<string, string>} */
const PERIODS = { day: 'today', month: 'this month' }
/** @type {Record<string, string>} */
const AFTER = {
  refuse: 'Further requests are refused. ', downgrade: 'Further requests run on in tier batch or on another model. ',
  wait: 'Lines of batches wait. '
}
