// @ts-check
// Lines over time, in the look of Headway's reports.

import { html, uPlot, useEffect, useRef } from '../vendor/libraries.js'

/**
 * @typedef {object} Line
 * @property {string} label
 * @property {string} colour a custom property of the style sheet, such as `--accent`
 * @property {boolean} [filled]
 */

const DARK = matchMedia('(prefers-color-scheme: dark)')

/** With more values than these a line needs no points to be seen. */
const FEW = 40

/** A live chart of less time would show only noise. */
const LEAST_S = 120

/**
 * @typedef {object} Axes
 * @property {(value: number) => string} [show] how a value is written
 * @property {number} [least] the height of the axis, at least
 * @property {boolean} [days] whether it shows days rather than the last minutes
 */

/**
 * A chart as wide as there is room.
 * @param {object} props
 * @param {string} props.label what it shows, for those who cannot see it
 * @param {(number | null)[][]} props.data times in Unix seconds, then the values of each line
 * @param {Line[]} props.lines
 * @param {number} [props.height]
 * @param {Axes} [props.axes]
 */
export function Chart({ label, data, lines, height = 150, axes = {} }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null))
  const chart = useRef(/** @type {any} */ (null))
  const latest = useRef(data)
  latest.current = data
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (box.current)
    const draw = () => {
      chart.current?.destroy()
      chart.current = new uPlot(options(element.clientWidth, height, lines, axes), latest.current, element)
    }
    draw()
    const sizes = new ResizeObserver(() => {
      chart.current?.setSize({ width: element.clientWidth, height })
    })
    sizes.observe(element)
    DARK.addEventListener('change', draw)
    return () => {
      sizes.disconnect()
      DARK.removeEventListener('change', draw)
      chart.current?.destroy()
      chart.current = null
    }
  }, [lines.map(line => line.label).join()])
  useEffect(() => { chart.current?.setData(data) }, [data])
  return html`<figure class="chart"><div ref=${box} role="img" aria-label=${label}></div>
    <figcaption class="legend">${lines.map(line => html`
      <span><i class="dash" style=${{ background: `var(${line.colour})` }}></i>${line.label}</span>`)}
    </figcaption></figure>`
}

/** @param {number} width @param {number} height @param {Line[]} lines @param {Axes} axes */
function options(width, height, lines, { show, least = 4, days = false }) {
  const styles = getComputedStyle(document.documentElement)
  /** @param {string} name */
  const colour = name => styles.getPropertyValue(name).trim()
  const axis = {
    stroke: colour('--soft'), font: '11.5px system-ui, sans-serif',
    grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 }
  }
  const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' })
  const date = new Intl.DateTimeFormat(undefined, { month: 'short', day: 'numeric' })
  return {
    width, height, padding: [8, 4, 0, 0], legend: { show: false }, cursor: { y: false, drag: { x: false, y: false } },
    scales: {
      x: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [days ? low : Math.min(low, high - LEAST_S), high] },
      y: { range: (/** @type {any} */ _, /** @type {number} */ low, /** @type {number} */ high) => [0, Math.max(least, high * 1.1)] }
    },
    axes: [days ? {
      ...axis, font: '12px system-ui, sans-serif', space: 70,
      values: (/** @type {any} */ _, /** @type {number[]} */ times) => times.map((time, place) => {
        const day = date.format(time * 1000)
        const hour = clock.format(time * 1000)
        return place > 0 && day === date.format(times[place - 1] * 1000) ? hour : hour === '00:00' ? day : `${hour}\n${day}`
      })
    } : {
      ...axis, space: 64, size: 26, incrs: [60, 120, 300, 600, 1200, 3600, 7200, 21600, 86400],
      values: (/** @type {any} */ _, /** @type {number[]} */ times) => times.map(time => clock.format(time * 1000))
    }, {
      ...axis, size: show ? 60 : 44, space: 30,
      values: show && ((/** @type {any} */ _, /** @type {number[]} */ values) => values.map(show))
    }],
    series: [{}, ...lines.map(line => ({
      label: line.label, stroke: colour(line.colour), width: 2, spanGaps: true,
      points: { size: 5, show: (/** @type {any} */ chart, /** @type {number} */ line) => days
        && chart.data[line].filter((/** @type {number | null} */ one) => one !== null).length < FEW },
      fill: line.filled ? `${colour(line.colour)}22` : undefined
    }))]
  }
}
