// @ts-check
// What was served: figures over time, requests page by page, and the life of one.

import { html, useEffect, useState } from '../vendor/libraries.js'
import { Figures } from './history/figures.js'
import { FIGURES_TAKE, Filters, filtersOf, historyAddress, spanOf } from './history/filters.js'
import { Life } from './history/life.js'
import { ORDERS, Table } from './history/table.js'

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const id = query.get('id')
  return id === null ? html`<${List} query=${query}/>` : html`<${Life} id=${id} key=${id}/>`
}

/** @param {{query: URLSearchParams}} props */
function List({ query }) {
  const filters = filtersOf(query)
  // The same until the address changes, so that pages and figures are of one stretch of time.
  const [span, setSpan] = useState(() => spanOf(query))
  const address = query.toString()
  useEffect(() => setSpan(spanOf(query)), [address])
  const asked = new URLSearchParams({ ...filters, ...span })
  const before = query.getAll('after')
  const slowest = Object.keys(ORDERS).includes(query.get('slowest_by') ?? '') ? query.get('slowest_by') ?? '' : ''
  return html`<div class="row head"><h1>History</h1><span class="space"></span>
      <button class="quiet" onClick=${() => setSpan(spanOf(query))}>Look again</button></div>
    <${Filters} query=${query}/>
    <${Figures} query=${query} asked=${only(asked, FIGURES_TAKE)}
      leavesOut=${Object.keys(filters).filter(name => !FIGURES_TAKE.includes(name))}/>
    <${Table} asked=${asked} before=${before} slowest=${slowest}
      onOrder=${(/** @type {string} */ slowest_by) => { location.hash = historyAddress(query, { slowest_by, after: '' }) }}
      onPage=${(/** @type {string[]} */ after) => { location.hash = historyAddress(query, { after }) }}/>`
}

/** @param {URLSearchParams} query @param {string[]} names */
function only(query, names) {
  return new URLSearchParams([...query].filter(([name]) => names.includes(name)))
}
