// @ts-check
// Who looks, and requests to the gateway.

import { signal } from '../vendor/libraries.js'

/**
 * What `console/api/session` answers.
 * @typedef {object} Session
 * @property {'open' | 'signed_in' | 'sign_in' | 'off'} access
 * @property {{name: string, tenant: string, admin: boolean, read_only: boolean} | null} viewer
 * @property {string} csrf
 * @property {boolean} may_operate
 * @property {boolean} keeps_log
 * @property {string} version
 * @property {{name: string, about: string}[]} policies
 */

const SESSION = 'console/api/session'

/** @type {import('../vendor/libraries.js').Signal<Session | null>} */
export const session = signal(null)

/** Why what is shown may be old; empty: the gateway answers. */
export const gatewayLost = signal('')

/** @returns {boolean} whether whoever looks sees everybody's traffic */
export function seesAll() {
  return session.value?.access === 'open' || (session.value?.viewer?.admin ?? false)
}

/**
 * Send a request to the gateway, with the token of the session. Throws what the gateway refuses it
 * with, in its own words.
 * @param {string} path relative to the gateway, such as `v1/models`
 * @param {RequestInit & {json?: unknown}} [options] `json`: the body
 * @returns {Promise<Response>} its status is a success
 */
export async function send(path, options = {}) {
  const { json, ...rest } = options
  const headers = new Headers(rest.headers)
  if (session.value?.csrf) headers.set('x-csrf-token', session.value.csrf)
  if (json !== undefined) {
    headers.set('content-type', 'application/json')
    rest.body = JSON.stringify(json)
    rest.method ??= 'POST'
  }
  const answer = await fetch(path, { ...rest, headers })
  if (answer.ok) return answer
  if (answer.status === 401) loadSession()
  let error
  try { error = (await answer.json()).error } catch { error = null }
  throw new Error(error?.message ?? `The gateway answered ${answer.status}.`)
}

/**
 * The JSON that the gateway answers.
 * @param {string} path @param {RequestInit & {json?: unknown}} [options]
 * @returns {Promise<any>}
 */
export async function ask(path, options) {
  const answer = await send(path, options)
  return answer.status === 204 ? null : answer.json()
}

/**
 * Find out who looks.
 * @param {boolean} [again] whether to try again while the gateway does not answer
 */
export async function loadSession(again = true) {
  try {
    session.value = await (await fetch(SESSION, { cache: 'no-store' })).json()
    if (again) gatewayLost.value = ''
  } catch {
    gatewayLost.value = 'The gateway does not answer; trying again …'
    if (again) setTimeout(loadSession, 2000)
  }
}

/** @param {string} key an API key. Throws what it is refused with. */
export async function signIn(key) {
  await send(SESSION, { json: { key } })
  await loadSession()
}

export async function signOut() {
  await send(SESSION, { method: 'DELETE' })
  await loadSession()
}
