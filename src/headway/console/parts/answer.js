// @ts-check
// What the gateway answers to a path, for a part of a page.

import { useEffect, useState } from '../vendor/libraries.js'
import { ask } from './session.js'

/**
 * What the gateway answers to `path`, asked again whenever that changes.
 * @param {string} path @param {number} [again] another number: ask the same again
 */
export function useAnswer(path, again = 0) {
  const [state, setState] = useState(/** @type {{answer: any, error: string, busy: boolean}} */ (
    { answer: null, error: '', busy: true }))
  useEffect(() => {
    const leaving = new AbortController()
    setState(before => ({ ...before, busy: true }))
    ask(path, { signal: leaving.signal }).then(
      answer => setState({ answer, error: '', busy: false }),
      error => {
        if (!leaving.signal.aborted) setState({ answer: null, error: error.message, busy: false })
      })
    return () => leaving.abort()
  }, [path, again])
  return state
}
