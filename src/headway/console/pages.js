// @ts-check
// The pages of the console, in the order of the navigation. Each is loaded when it is opened.

/**
 * @typedef {object} Page
 * @property {string} name in the address, after `#/`
 * @property {string} title
 * @property {boolean} [ofAll] whether it is of everybody's traffic, so that only admins have it
 * @property {() => Promise<{Page: (props: {query: URLSearchParams}) => any}>} load
 */

/** @type {Page[]} */
export const PAGES = [
  { name: 'now', title: 'Now', load: () => import('./pages/now.js') },
  { name: 'history', title: 'History', load: () => import('./pages/history.js') },
  { name: 'what-if', title: 'What if', ofAll: true, load: () => import('./pages/what_if.js') },
  { name: 'playground', title: 'Playground', load: () => import('./pages/playground.js') },
  { name: 'prompts', title: 'Prompts', load: () => import('./pages/prompts.js') },
  { name: 'batches', title: 'Batches', load: () => import('./pages/batches.js') },
  { name: 'costs', title: 'Costs', load: () => import('./pages/costs.js') },
  { name: 'runs', title: 'Runs', load: () => import('./pages/runs.js') }
]
