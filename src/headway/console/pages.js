// @ts-check
// The pages of the console, in the order of the navigation.

import * as history from './pages/history.js'
import * as now from './pages/now.js'
import * as playground from './pages/playground.js'
import * as prompts from './pages/prompts.js'

/**
 * @typedef {object} Page
 * @property {string} name in the address, after `#/`
 * @property {string} title
 * @property {(props: {query: URLSearchParams}) => any} Page
 */

/** @type {Page[]} */
export const PAGES = [now, history, playground, prompts]
