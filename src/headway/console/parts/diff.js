// @ts-check
// What differs between two texts, line by line (Myers 1986).

import { html, useState } from '../vendor/libraries.js'
import { plural } from './format.js'

/** Lines that may differ; beyond that the one text is shown as gone and the other as new. */
const MOST_EDITS = 1000
/** Equal lines shown around each change. */
const AROUND = 3
const ROWS = 400
const LINE = 2000

/** @typedef {{kind: '=' | '-' | '+', text: string}} Row */

/** @param {string} before @param {string} after @returns {Row[]} all lines of both */
export function diff(before, after) {
  const from = linesOf(before)
  const to = linesOf(after)
  let start = 0
  while (start < from.length && start < to.length && from[start] === to[start]) start++
  let end = 0
  while (end < from.length - start && end < to.length - start
    && from[from.length - 1 - end] === to[to.length - 1 - end]) end++
  return [
    ...rows('=', from.slice(0, start)),
    ...changes(from.slice(start, from.length - end), to.slice(start, to.length - end)),
    ...rows('=', from.slice(from.length - end))
  ]
}

/** @param {string} text */
function linesOf(text) {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

/** @param {Row['kind']} kind @param {string[]} lines @returns {Row[]} */
function rows(kind, lines) {
  return lines.map(text => ({ kind, text }))
}

/** The fewest lines that go and come. @param {string[]} from @param {string[]} to @returns {Row[]} */
function changes(from, to) {
  /** How far each diagonal was reached, by the number of edits. @type {Map<number, number>[]} */
  const reached = []
  let last = new Map([[1, 0]])
  for (let edits = 0; edits <= MOST_EDITS; edits++) {
    const now = new Map()
    reached.push(now)
    for (let diagonal = -edits; diagonal <= edits; diagonal += 2) {
      let x = goesDown(last, diagonal, edits) ? at(last, diagonal + 1) : at(last, diagonal - 1) + 1
      while (x < from.length && x - diagonal < to.length && from[x] === to[x - diagonal]) x++
      now.set(diagonal, x)
      if (x >= from.length && x - diagonal >= to.length) return traced(from, to, reached)
    }
    last = now
  }
  return [...rows('-', from), ...rows('+', to)]
}

/** @param {Map<number, number>} reached @param {number} diagonal */
function at(reached, diagonal) {
  return reached.get(diagonal) ?? -1
}

/** @param {Map<number, number>} reached @param {number} diagonal @param {number} edits */
function goesDown(reached, diagonal, edits) {
  return diagonal === -edits || (diagonal !== edits && at(reached, diagonal - 1) < at(reached, diagonal + 1))
}

/** @param {string[]} from @param {string[]} to @param {Map<number, number>[]} reached @returns {Row[]} */
function traced(from, to, reached) {
  /** @type {Row[]} */
  const found = []
  let x = from.length
  let y = to.length
  for (let edits = reached.length - 1; edits >= 0; edits--) {
    const before = edits > 0 ? reached[edits - 1] : new Map([[1, 0]])
    const down = goesDown(before, x - y, edits)
    const diagonal = x - y + (down ? 1 : -1)
    const begin = at(before, diagonal)
    while (x > begin + (down ? 0 : 1) && y > begin - diagonal + (down ? 1 : 0)) {
      found.push({ kind: '=', text: from[--x] })
      y--
    }
    if (edits === 0) break
    found.push(down ? { kind: '+', text: to[--y] } : { kind: '-', text: from[--x] })
  }
  return found.reverse()
}

/** @param {Row[]} all @returns {string} in one sentence */
export function summary(all) {
  const more = all.filter(one => one.kind === '+').length
  const less = all.filter(one => one.kind === '-').length
  if (more + less === 0) return 'The two are the same.'
  return `${plural(more, 'line is', 'lines are')} new, ${plural(less, 'line is', 'lines are')} gone.`
}

/** @param {{rows: Row[], label: string}} props */
export function Diff({ rows: all, label }) {
  const [most, setMost] = useState(ROWS)
  const near = all.map(() => false)
  all.forEach((one, place) => {
    if (one.kind !== '=') near.fill(true, Math.max(0, place - AROUND), place + AROUND + 1)
  })
  // A single line takes no more room than the words for it.
  all.forEach((_, place) => { if ((near[place - 1] ?? true) && (near[place + 1] ?? true)) near[place] = true })
  /** @type {(Row | number)[]} a number: so many equal lines are left out */
  const shown = []
  all.forEach((one, place) => {
    const last = shown.length - 1
    if (near[place]) shown.push(one)
    else if (typeof shown[last] === 'number') shown[last] = Number(shown[last]) + 1
    else shown.push(1)
  })
  return html`<div class="diff" tabindex="0" role="region" aria-label=${label}>
    ${shown.slice(0, most).map(one => typeof one === 'number'
      ? html`<p class="left">${plural(one, 'equal line')}</p>`
      : html`<p class=${KINDS[one.kind].name}><span aria-hidden="true">${KINDS[one.kind].mark}</span><span
          class="unseen">${KINDS[one.kind].said}</span><bdi>${one.text.slice(0, LINE)}${one.text.length > LINE ? ' …' : ''}</bdi></p>`)}
    </div>
    ${shown.length > most && html`<p class="row"><button class="quiet" onClick=${() => setMost(most + ROWS)}>Show more</button></p>`}`
}

const KINDS = {
  '=': { name: 'same', mark: ' ', said: '' },
  '-': { name: 'gone', mark: '−', said: 'Gone: ' },
  '+': { name: 'new', mark: '+', said: 'New: ' }
}
