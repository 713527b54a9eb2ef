// @ts-check
// Where the nodes of a graph stand: in layers by what they need, each layer in as many lines as it takes.

export const WIDTH = 178
export const HEIGHT = 48
const JOIN = 12
const BESIDE = 18
const BETWEEN_LINES = 14
const BETWEEN_LAYERS = 36

/**
 * @typedef {object} Placed
 * @property {any} node
 * @property {number} x its left edge
 * @property {number} y its upper edge
 * @property {number} width
 * @property {number} height
 */

/**
 * @param {any[]} nodes each after those that it needs
 * @param {number} room the width that there is
 * @returns {{placed: Placed[], edges: {from: Placed, to: Placed}[], height: number, width: number}}
 */
export function layout(nodes, room) {
  const inLine = Math.max(1, Math.floor((room + BESIDE) / (WIDTH + BESIDE)))
  const width = Math.max(room, WIDTH)
  /** @type {Map<string, Placed>} */
  const known = new Map()
  let y = 2
  for (const layer of layersOf(nodes)) {
    const ordered = [...layer].sort((one, other) => middle(one, known, width) - middle(other, known, width))
    for (let begin = 0; begin < ordered.length; begin += inLine) {
      const line = ordered.slice(begin, begin + inLine)
      const joins = line.every(one => one.kind === 'join')
      const height = joins ? JOIN : HEIGHT
      let x = (width - line.length * WIDTH - (line.length - 1) * BESIDE) / 2
      for (const node of line) {
        const own = node.kind === 'join' ? JOIN : WIDTH
        known.set(node.id, { node, x: x + (WIDTH - own) / 2, y: y + (height - (node.kind === 'join' ? JOIN : HEIGHT)) / 2, width: own, height: node.kind === 'join' ? JOIN : HEIGHT })
        x += WIDTH + BESIDE
      }
      y += height + BETWEEN_LINES
    }
    y += BETWEEN_LAYERS - BETWEEN_LINES
  }
  const placed = [...known.values()]
  const edges = placed.flatMap(to => to.node.needs.flatMap((/** @type {string} */ need) => {
    const from = known.get(need)
    return from ? [{ from, to }] : []
  }))
  return { placed, edges, height: y - BETWEEN_LAYERS + 2, width }
}

/** Nodes by the longest way to them. @param {any[]} nodes @returns {any[][]} */
function layersOf(nodes) {
  /** @type {Map<string, number>} */
  const depths = new Map()
  /** @type {any[][]} */
  const layers = []
  for (const node of nodes) {
    const depth = Math.max(-1, ...node.needs.map((/** @type {string} */ need) => depths.get(need) ?? -1)) + 1
    depths.set(node.id, depth)
    ;(layers[depth] ??= []).push(node)
  }
  return layers
}

/** The middle of what a node needs: near it edges are short. @param {any} node @param {Map<string, Placed>} known @param {number} width */
function middle(node, known, width) {
  const found = node.needs.flatMap((/** @type {string} */ need) => known.get(need) ?? [])
  if (found.length === 0) return width / 2
  return found.reduce((/** @type {number} */ sum, /** @type {Placed} */ one) => sum + one.x + one.width / 2, 0) / found.length
}
