// @ts-check
// What the gateway answers to a path, for a part of a page.

import { useEffect, useState } from '../vendor/libraries.js'
import { ask, gatewayLost } from './session.js'

/**
 * What the gateway answers to `path`, asked again whenever that changes.
 * @param {string} path
 * @param {number} [every_s] ask again so often, while somebody looks; what was there stays
 * @returns {{answer: any, error: string, busy: boolean, again: () => void}} `again` asks now
 */
export function useAnswer(path, every_s = 0) {
  const [state, setState] = useState(/** @type {{answer: any, error: string, busy: boolean}} */ (
    { answer: null, error: '', busy: true }))
  const [turn, setTurn] = useState(0)
  useEffect(() => {
    const leaving = new AbortController()
    let timer = 0
    setState(before => ({ ...before, busy: true }))
    async function look() {
      clearTimeout(timer)
      if (every_s > 0 && document.hidden) return
      try {
        const answer = await ask(path, { signal: leaving.signal })
        if (leaving.signal.aborted) return
        gatewayLost.value = ''
        setState({ answer, error: '', busy: false })
      } catch (error) {
        if (leaving.signal.aborted) return
        if (every_s > 0 && error instanceof TypeError) {
          gatewayLost.value = 'The gateway does not answer, so this is how it was; trying again …'
        } else {
          setState({ answer: null, error: /** @type {Error} */ (error).message, busy: false })
        }
      }
      if (every_s > 0) timer = setTimeout(look, every_s * 1000)
    }
    look()
    if (every_s > 0) document.addEventListener('visibilitychange', look)
    return () => {
      leaving.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', look)
    }
  }, [path, every_s, turn])
  return { ...state, again: () => setTurn(turn + 1) }
}
