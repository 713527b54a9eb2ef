// @ts-check
// A run as a graph that fills with colour as its steps end.

import { html, useEffect, useMemo, useRef, useState } from '../../vendor/libraries.js'
import { count, ms, plural } from '../../parts/format.js'
import { layout } from './layout.js'

/** The width of a letter, about. */
const LETTER = 7.4
const SMALL_LETTER = 6.4

/** @typedef {import('./layout.js').Placed} Placed */

/** @param {{nodes: any[], chosen: string, onChoose: (id: string) => void}} props */
export function Graph({ nodes, chosen, onChoose }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null))
  const [room, setRoom] = useState(0)
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current)
    const sizes = new ResizeObserver(() => setRoom(element.clientWidth))
    sizes.observe(element)
    return () => sizes.disconnect()
  }, [])
  const shape = nodes.map(one => `${one.id}<${one.needs}`).join()
  const drawn = useMemo(() => layout(nodes, room), [shape, room])
  const now = new Map(nodes.map(one => [one.id, one]))
  return html`<div class="graph" ref=${box} tabindex="0" role="group" aria-label="Graph">${room > 0 && html`
    <svg role="img" aria-label=${`${described(nodes)} The table of steps below says the same.`}
      width=${room} height=${drawn.height}>
      ${drawn.edges.map(({ from, to, points }) => html`<path key=${`${from.id} ${to.id}`} d=${curve(points)}
        class=${`edge ${now.get(from.id)?.state ?? ''}`}></path>`)}
      ${drawn.placed.map(placed => html`<${Node} key=${placed.node.id} placed=${placed} node=${now.get(placed.node.id) ?? placed.node}
        chosen=${placed.node.id === chosen} onChoose=${onChoose}/>`)}</svg>`}</div>
    <p class="legend">${['finished', 'running', 'waiting', 'failed', 'open'].map(one => html`<span><i class=${`swatch ${one}`}></i>${one === 'open' ? 'not begun' : one}</span>`)}</p>`
}

/** @param {any[]} nodes */
function described(nodes) {
  /** @type {Record<string, number>} */
  const states = {}
  const named = nodes.filter(one => one.name)
  for (const one of named) states[one.state] = (states[one.state] ?? 0) + 1
  return `The graph of the run, ${plural(named.length, 'node')}: ${Object.entries(states).map(([state, number]) => `${number} ${state === 'open' ? 'not begun' : state}`).join(', ')}.`
}

/** From the lower edge of the first to the upper edge of the last, straight through those between. @param {Placed[]} points */
function curve(points) {
  const [first, ...others] = points
  let [x, y] = [first.x + first.width / 2, first.y + first.height]
  let drawn = `M${x} ${y}`
  for (const one of others) {
    const [toX, toY] = [one.x + one.width / 2, one.y]
    const bend = Math.min(60, Math.max(12, (toY - y) / 2))
    drawn += `C${x} ${y + bend} ${toX} ${toY - bend} ${toX} ${toY}`
    if (!one.node) drawn += `V${toY + one.height}`
    ;[x, y] = [toX, toY + one.height]
  }
  return drawn
}

/** @param {{placed: Placed, node: any, chosen: boolean, onChoose: (id: string) => void}} props */
function Node({ placed, node, chosen, onChoose }) {
  const { x, y, width, height } = placed
  if (node.kind === 'join') return html`<circle class=${`join ${node.state}`} cx=${x + width / 2} cy=${y + height / 2} r="4"/>`
  const part = node.steps === 0 ? (['finished', 'skipped'].includes(node.state) ? 1 : 0) : node.ended / node.steps
  const letters = Math.floor((width - 24) / LETTER)
  const name = node.name.length > letters ? `${node.name.slice(0, letters - 1)}…` : node.name
  return html`<g class=${`node ${node.state}${chosen ? ' chosen' : ''}`} transform=${`translate(${x} ${y})`} onClick=${() => onChoose(node.id)}>
    <title>${node.id}: ${node.state}</title>
    <rect class="back" width=${width} height=${height} rx="9"/>
    ${part > 0 && html`<svg width=${width * part} height=${height}><rect class="fill" width=${width} height=${height} rx="9"/></svg>`}
    <rect class="rim" width=${width} height=${height} rx="9"/>
    <text x="12" y="20" class="called">${name}</text>
    <text x="12" y="37" class="said">${facts(node, Math.floor((width - 24) / SMALL_LETTER))}</text></g>`
}

/** As many facts as there is room for. @param {any} node @param {number} letters */
function facts(node, letters) {
  if (node.state === 'open') return 'not begun'
  if (node.state === 'skipped') return 'skipped'
  if (node.steps === 0) return 'a value'
  const said = []
  if (node.steps > 1) said.push(`${count(node.ended)} of ${count(node.steps)}`)
  if (node.failed > 0) said.push(node.steps > 1 ? `${node.failed} failed` : 'failed')
  else if (node.state === 'waiting') said.push(['person', 'ask'].includes(node.kind) ? 'asks a person' : 'waits')
  if (node.started_at !== null && node.state !== 'stopped') said.push(ms(1000 * ((node.ended_at ?? Date.now() / 1000) - node.started_at)))
  if (node.retries > 0) said.push(plural(node.retries, 'retry', 'retries'))
  else if (node.output_tokens > 0) said.push(`${count(node.prompt_tokens + node.output_tokens)} tok`)
  while (said.length > 1 && said.join(' · ').length > letters) said.pop()
  return said.join(' · ')
}
