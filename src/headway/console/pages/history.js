// @ts-check
// What was served: figures over time, requests page by page, and the life of one.

import { html, useEffect, useState } from '../vendor/libraries.js'
import { ask } from '../parts/session.js'
import { Figures } from './history/figures.js'
import { FIGURES_TAKE, Filters, filtersOf, historyAddress, spanOf } from './history/filters.js'
import { Life } from './history/life.js'
import { Table } from './history/table.js'

export const name = 'history'
export const title = 'History'

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const id = query.get('id')
  return id === null ? html`<${List} query=${query}/>` : html`<${Life} id=${id} key=${id}/>`
}

/**
 * What the gateway answers to `path`, asked again whenever that changes.
 * @param {string} path
 */
export function useAnswer(path) {
  const [state, setState] = useState(/** @type {{answer: any, error: string, busy: boolean}} */ (
    { answer: null, error: '', busy: true }))
  useEffect(() => {
    const leaving = new AbortController()
    setState(before => ({ ...before, busy: true }))
    ask(path, { signal: leaving.signal }).then(
      answer => setState({ answer, error: '', busy: false }),
      error => {
        if (!leaving.signal.aborted) setState({ answer: null, error: error.message, busy: false })
      })
    return () => leaving.abort()
  }, [path])
  return state
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
  return html`<div class="row head"><h1>History</h1><span class="space"></span>
      <button class="quiet" onClick=${() => setSpan(spanOf(query))}>Look again</button></div>
    <${Filters} query=${query}/>
    <${Figures} query=${query} asked=${only(asked, FIGURES_TAKE)}
      leavesOut=${Object.keys(filters).filter(name => !FIGURES_TAKE.includes(name))}/>
    <${Table} asked=${asked} before=${before}
      onPage=${(/** @type {string[]} */ after) => { location.hash = historyAddress(query, { after }) }}/>`
}

/** @param {URLSearchParams} query @param {string[]} names */
function only(query, names) {
  return new URLSearchParams([...query].filter(([name]) => names.includes(name)))
}
