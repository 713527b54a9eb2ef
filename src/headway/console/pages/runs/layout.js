// @ts-check
// Where the nodes of a graph stand: in layers by what they need, each layer in as many lines as it takes.

export const HEIGHT = 48
const WIDEST = 178
const JOIN = 12
const BESIDE = 18
const BETWEEN_LINES = 14
const BETWEEN_LAYERS = 36
/** Longer graphs have edges that pass behind nodes. */
const MOST_BENDS = 400

/**
 * @typedef {object} Placed
 * @property {any} node null: only an edge passes here, from one layer to the next but one
 * @property {number} x its left edge
 * @property {number} y its upper edge
 * @property {number} width
 * @property {number} height
 */

/** @typedef {{id: string, node: any, needs: string[], width: number, height: number}} Item */

/**
 * @param {any[]} nodes each after those that it needs
 * @param {number} room the width that there is
 * @returns {{placed: Placed[], edges: {from: any, to: any, points: Placed[]}[], height: number}}
 */
export function layout(nodes, room) {
  const width = Math.min(WIDEST, Math.max(120, (room - BESIDE - 2) / 2))
  const { layers, ways } = layersOf(nodes, width)
  /** @type {Map<string, Placed>} */
  const known = new Map()
  let y = 2
  for (const layer of layers) {
    const ordered = layer.map(item => ({ item, middle: middle(item, known, room / 2) })).sort((one, other) => one.middle - other.middle)
    for (const line of linesOf(ordered.map(one => one.item), room)) {
      const height = Math.max(...line.map(one => one.height))
      let x = (room - line.reduce((sum, one) => sum + one.width + BESIDE, -BESIDE)) / 2
      for (const item of line) {
        const own = item.node ? item.height : height
        known.set(item.id, { node: item.node, x, y: y + (height - own) / 2, width: item.width, height: own })
        x += item.width + BESIDE
      }
      y += height + BETWEEN_LINES
    }
    y += BETWEEN_LAYERS - BETWEEN_LINES
  }
  const edges = ways.map(way => {
    const points = way.map(id => /** @type {Placed} */ (known.get(id)))
    return { from: points[0].node, to: points[points.length - 1].node, points }
  })
  return { placed: [...known.values()].filter(one => one.node), edges, height: y - BETWEEN_LAYERS + 2 }
}

/**
 * Nodes by the longest way to them, with a narrow place wherever an edge passes a layer.
 * @param {any[]} nodes @param {number} width of a node
 * @returns {{layers: Item[][], ways: string[][]}} `ways`: the places of each edge
 */
function layersOf(nodes, width) {
  /** @type {Map<string, number>} */
  const depths = new Map()
  /** @type {Item[][]} */
  const layers = []
  /** @type {string[][]} */
  const ways = []
  let bends = 0
  for (const node of nodes) {
    const needs = node.needs.filter((/** @type {string} */ need) => depths.has(need))
    const depth = Math.max(-1, ...needs.map((/** @type {string} */ need) => depths.get(need))) + 1
    depths.set(node.id, depth)
    const joins = node.kind === 'join'
    /** @type {Item} */
    const item = { id: node.id, node, needs: [], width: joins ? JOIN : width, height: joins ? JOIN : HEIGHT }
    ;(layers[depth] ??= []).push(item)
    for (const need of needs) {
      const way = [need]
      for (let passed = /** @type {number} */ (depths.get(need)) + 1; passed < depth && bends < MOST_BENDS; passed++, bends++) {
        const id = `${need}>${passed}>${node.id}`
        layers[passed].push({ id, node: null, needs: [way[way.length - 1]], width: JOIN, height: JOIN })
        way.push(id)
      }
      item.needs.push(way[way.length - 1])
      ways.push([...way, node.id])
    }
  }
  return { layers, ways }
}

/** @param {Item[]} items @param {number} room @returns {Item[][]} */
function linesOf(items, room) {
  /** @type {Item[][]} */
  const lines = []
  let left = -1
  for (const item of items) {
    if (left < item.width) {
      lines.push([])
      left = room
    }
    lines[lines.length - 1].push(item)
    left -= item.width + BESIDE
  }
  return lines
}

/** The middle of what an item needs: near it edges are short. @param {Item} item @param {Map<string, Placed>} known @param {number} otherwise */
function middle(item, known, otherwise) {
  const found = item.needs.flatMap(need => known.get(need) ?? [])
  if (found.length === 0) return otherwise
  return found.reduce((sum, one) => sum + one.x + one.width / 2, 0) / found.length
}
