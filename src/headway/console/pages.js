// @ts-check
// The pages of the console, in the order of the navigation.

import * as history from './pages/history.js'
import * as now from './pages/now.js'
import * as playground from './pages/playground.js'
import * as whatIf from './pages/what_if.js'

/**
 * @typedef {object} Page
 * @property {string} name in the address, after `#/`
 * @property {string} title
 * @property {boolean} [ofAll] whether it is of everybody's traffic, so that only admins have it
 * @property {(props: {query: URLSearchParams}) => any} Page
 */

/** @type {Page[]} */
export const PAGES = [now, history, playground, whatIf]
