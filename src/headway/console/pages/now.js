// @ts-check
// What runs and what waits, live.

import { html, useEffect, useState } from '../vendor/libraries.js'
import { drainBackend, mayOperate, switchPolicy } from '../parts/actions.js'
import { Chart } from '../parts/chart.js'
import { between, count, plural, seconds } from '../parts/format.js'
import { asked, live, look, trend, watch } from '../parts/live.js'
import { Rows } from '../parts/rows.js'
import { openRequest } from './now/request.js'
import { Preemptions, Tenants, Tiers } from './now/shares.js'
import { Slots } from './now/slots.js'

/** @typedef {import('../parts/live.js').Live} Live */

export function Page() {
  useEffect(watch, [])
  const now = live.value
  if (now === null) return html`<h1>Now</h1><p class="soft" role="status">Looking …</p>`
  return html`<h1>Now</h1>
    <${Summary} now=${now}/>
    ${now.backends.map((/** @type {any} */ backend) => html`
      <${Backend} key=${backend.name} now=${now} backend=${backend}/>`)}
    <${Waiting} now=${now}/>
    <div class="columns">
      <${Tiers} now=${now}/>
      <${Tenants} now=${now}/>
      <${Preemptions} now=${now}/>
    </div>`
}

/** @param {{now: Live}} props */
function Summary({ now }) {
  const others = now.others.running + now.others.waiting
  return html`<section class="summary" aria-label="Summary">
    <dl class="figures">
      <div><dt>Running</dt><dd>${count(now.running)}<small> of ${plural(now.slots, 'slot')}</small></dd></div>
      <div><dt>Waiting</dt><dd>${count(now.waiting)}</dd></div>
      <div><dt>Backlog</dt><dd>${seconds(now.backlog_s)}</dd></div>
      <div><dt>Policy</dt><dd class="policy"><i class=${`dot c-${now.policy}`}></i>${now.policy}
        ${mayOperate() && !now.automatic && html`<button class="quiet" onClick=${() => switchPolicy(now.policy)}>Switch</button>`}</dd></div>
      ${now.gain?.policy === now.policy && now.gain.share != null && html`<div><dt>Of the oracle's gain</dt>
        <dd>${Math.round(100 * now.gain.share)}%<small> of ${seconds(now.gain.fcfs_s - now.gain.oracle_s)}</small></dd></div>`}
    </dl>
    <${Chart} label=${`${count(now.running)} requests run and ${count(now.waiting)} wait; their numbers in the last hour`}
      data=${trend.value} height=${130}
      lines=${[{ label: 'running', colour: '--running' }, { label: 'waiting', colour: '--waiting', filled: true }]}/>
    ${now.gain?.policy === now.policy && html`<p class="soft small">${now.gain.share == null
      ? `What ${now.gain.policy} gains over fcfs (first come, first served) was not known at the last replay: ${now.gain.reason}.`
      : html`The last ${plural(now.gain.requests, 'request')}, replayed: mean latency
          ${' '}${seconds(now.gain.fcfs_s)} under fcfs, ${seconds(now.gain.policy_s)} under ${now.gain.policy},
          ${' '}${seconds(now.gain.oracle_s)} had every length been known; p99 ${now.gain.p99_ratio?.toFixed(2)}× that of fcfs.`}</p>`}
    ${now.draining && html`<p class="strip bad">The gateway is shutting down: it finishes what it has.</p>`}
    ${now.chosen_by && !now.automatic && html`<p class="soft small">Switched to ${now.chosen_policy} by ${now.chosen_by}, ${seconds(now.chosen_ago_s)} ago.</p>`}
    ${now.automatic && html`<p class="soft">The gateway chooses its policy by itself, by replays of recent traffic.</p>`}
    ${now.policy !== now.chosen_policy && html`<p class="soft">${now.chosen_policy} is chosen, but
      predictions are not trusted at present, so ${now.policy} orders requests.</p>`}
    ${others > 0 && html`<p class="soft">Of other tenants ${count(now.others.running)} run and
      ${' '}${count(now.others.waiting)} wait.</p>`}
  </section>`
}

/** @param {{now: Live, backend: any}} props */
function Backend({ now, backend }) {
  const { name, state } = backend
  const drains = state === 'draining'
  const runs = now.runs.filter((/** @type {any} */ one) => one.backend === name)
  return html`<section aria-label=${`Backend ${name}`}>
    <div class="row head">
      <h2>${name}</h2>
      <span class=${`state ${state}`}>${state}</span>
      <span class="soft">${count(backend.running)} of ${plural(backend.slots, 'slot')} ·
        ${' '}${backend.models.slice(0, 4).join(', ') || 'no model known yet'}${backend.models.length > 4 ? ', …' : ''}</span>
      <span class="space"></span>
      ${mayOperate() && (drains || state === 'up') && html`
        <button class="quiet" onClick=${() => drainBackend(name, drains)}>${drains ? 'Resume' : 'Drain'}
        <span class="unseen"> ${name}</span></button>`}
    </div>
    ${backend.error && html`<p class="error">${backend.error}</p>`}
    <${Slots} slots=${backend.slots} running=${backend.running} runs=${runs}/>
  </section>`
}

/** @type {import('../parts/rows.js').Column[]} */
const COLUMNS = [
  { title: 'Next', name: 'place', show: row => row.place },
  { title: 'Tier', name: 'tier', show: row => html`<${Tier} tier=${row.tier}/>` },
  { title: 'Tenant', name: 'tenant', show: row => row.tenant },
  { title: 'Model', name: 'model', show: row => row.model },
  { title: 'Waited', name: 'wait', show: row => seconds(row.wait_s) },
  { title: 'Output tokens', name: 'tokens',
    show: row => html`${count(row.predicted_tokens)} <small class="soft">${between(row.predicted_low, row.predicted_high)}</small>` },
  { title: 'Why', name: 'why', show: row => row.why }
]

/** @param {{tier: string}} props */
function Tier({ tier }) {
  return html`<span class=${`tag ${tier}`}>${tier}</span>`
}

/** @param {{now: Live}} props */
function Waiting({ now }) {
  const [tier, setTier] = useState(asked.tier)
  const [find, setFind] = useState(asked.find)
  useEffect(() => {
    const timer = setTimeout(() => look({ tier, find, first: 0 }), 150)
    return () => clearTimeout(timer)
  }, [tier, find])
  const filtered = tier !== '' || find !== ''
  return html`<section aria-label="Waiting requests">
    <div class="row head"><h2>Waiting</h2>
      <span class="soft">${filtered ? `${count(now.found)} of ${count(now.waiting)}` : count(now.waiting)},
        the next one first${now.fairness === 'off' ? '' : '; tenants take turns, which this order leaves out'}</span>
      <span class="space"></span>
      <label class="unseen" for="tier">Tier</label>
      <select id="tier" value=${tier} onChange=${(/** @type {any} */ event) => setTier(event.target.value)}>
        <option value="">all tiers</option>
        ${now.tiers.map((/** @type {any} */ one) => html`<option value=${one.tier}>${one.tier} (${count(one.waiting)})</option>`)}
      </select>
      <label class="unseen" for="find">Find</label>
      <input id="find" type="search" placeholder="id, tenant, model, run" value=${find}
        onInput=${(/** @type {any} */ event) => setFind(event.target.value)}/>
    </div>
    ${now.found === 0
      ? html`<p class="soft empty">${now.waiting ? 'None is like that.' : 'Nothing waits.'}
          ${find.trim() && html` Has it ended? <a href=${`#/history?${new URLSearchParams({ id: find.trim() })}`}>Look for this id in the history</a>`}</p>`
      : html`<${Rows} label="Waiting requests" columns=${COLUMNS} rows=${now.rows} first=${now.first}
          total=${now.found} onLook=${(/** @type {number} */ first, /** @type {number} */ rows) => look({ first, rows })}
          onOpen=${openRequest} name=${(/** @type {any} */ row) => `#${count(row.place)}`}/>`}
  </section>`
}
