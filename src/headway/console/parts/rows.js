// @ts-check
// A long table of which only the rows in view exist.

import { html, useEffect, useLayoutEffect, useRef, useState } from '../vendor/libraries.js'

const NARROW = matchMedia('(max-width: 720px)')
const MARGIN = 12
const SETTLED_MS = 100

/**
 * @typedef {object} Column
 * @property {string} title
 * @property {string} name its class
 * @property {(row: any) => any} show
 */

/**
 * @param {object} props
 * @param {string} props.label
 * @param {Column[]} props.columns
 * @param {any[]} props.rows those that have arrived
 * @param {number} props.first how many come before them
 * @param {number} props.total
 * @param {(first: number, rows: number) => void} props.onLook asks for other rows
 * @param {(row: any) => void} props.onOpen
 * @param {(row: any) => string} props.name what a row is called
 */
export function Rows({ label, columns, rows, first, total, onLook, onOpen, name }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null))
  const [narrow, setNarrow] = useState(NARROW.matches)
  const height = narrow ? 92 : 50
  const timer = useRef(0)
  useEffect(() => {
    const change = () => setNarrow(NARROW.matches)
    NARROW.addEventListener('change', change)
    return () => NARROW.removeEventListener('change', change)
  }, [])
  function look() {
    const element = box.current
    if (!element) return
    const wanted = Math.max(0, Math.floor(element.scrollTop / height) - MARGIN)
    onLook(wanted, Math.ceil(element.clientHeight / height) + 2 * MARGIN)
  }
  useLayoutEffect(look, [height])
  function scrolled() {
    clearTimeout(timer.current)
    timer.current = setTimeout(look, SETTLED_MS)
  }
  return html`<div class="rows" role="table" aria-label=${label} aria-rowcount=${total + 1}>
    <div role="rowgroup"><div class="line head" role="row" aria-rowindex="1">
      ${columns.map(one => html`<span role="columnheader" class=${one.name}>${one.title}</span>`)}
    </div></div>
    <div class="scroll" ref=${box} onScroll=${scrolled} tabindex="0" role="rowgroup"
      aria-label=${label}>
      <div class="all" role="presentation" style=${{ height: `${total * height}px` }}>
        ${rows.map((row, number) => html`
          <div class="line" role="row" key=${row.id} aria-rowindex=${first + number + 2}
            style=${{ height: `${height}px`, transform: `translateY(${(first + number) * height}px)` }}>
            ${columns.map((one, place) => html`<span role="cell" class=${one.name}>${place === 0
              ? html`<button class="link" onClick=${() => onOpen(row)}>${name(row)}</button>`
              : one.show(row)}</span>`)}
          </div>`)}
      </div>
    </div></div>`
}
