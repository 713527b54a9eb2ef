// @ts-check
// The test cases of a prompt, run on versions and compared.

import { html, useEffect, useRef, useState } from '../../vendor/libraries.js'
import { mayOperate } from '../../parts/actions.js'
import { count, plural, seconds } from '../../parts/format.js'
import { send } from '../../parts/session.js'
import { eventsOf } from '../../parts/stream.js'

/** @typedef {{answered: number, of: number, results?: any[]}} Progress see TrialProgress in gateway/api/prompts.py */

/** @param {{entry: any, cases: any, versions: number[]}} props */
export function Trials({ entry, cases, versions }) {
  const [progress, setProgress] = useState(/** @type {Progress | null} */ (null))
  const [error, setError] = useState('')
  const stop = useRef(/** @type {AbortController | null} */ (null))
  useEffect(() => () => stop.current?.abort(), [])
  async function run() {
    const control = stop.current = new AbortController()
    setError('')
    setProgress({ answered: 0, of: versions.length * cases.names.length })
    let last = /** @type {Progress | null} */ (null)
    try {
      const answer = await send(`v1/headway/prompts/${encodeURIComponent(entry.name)}/trials`,
        { json: { versions }, signal: control.signal })
      for await (const event of eventsOf(answer)) {
        last = event
        setProgress(event)
      }
      if (!last?.results) throw new Error('The connection ended before the results came; run them again.')
    } catch (failure) {
      setProgress(null)
      if (!control.signal.aborted) setError(/** @type {Error} */ (failure).message)
    }
  }
  const names = cases?.names ?? []
  if (names.length === 0) {
    return html`<p class="soft small">To compare what they answer, write test cases below, or try both in the playground.</p>`
  }
  const running = progress !== null && !progress.results
  return html`<div class="row trials">
      ${running
        ? html`<button onClick=${() => stop.current?.abort()}>Stop</button>
          <span role="status">${progress.answered === progress.of ? 'Comparing with what is expected …'
            : `${progress.answered} of ${progress.of} have an answer …`}</span>`
        : mayOperate() && html`<button class="main" onClick=${run}>
            Run ${plural(names.length, 'test case')} on ${versions.length === 1 ? 'it' : 'both'}</button>
          <span class="soft small">${plural(names.length * versions.length, 'request')}, scheduled and billed as any other</span>`}
    </div>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${progress?.results && html`<${Results} results=${progress.results} versions=${versions}/>`}`
}

/** @param {{results: any[], versions: number[]}} props */
function Results({ results, versions }) {
  const of = (/** @type {number} */ version) => results.filter(one => one.version === version)
  const places = of(versions[0]).map((_, place) => place)
  return html`<p role="status"><strong>${versions.map(version => {
      const all = of(version)
      return `Version ${version} passes ${all.filter(one => one.failures.length === 0).length} of ${all.length}`
    }).join('; ')}.</strong></p>
    <div class="wide" tabindex="0" role="region" aria-label="Results, a table"><table class="results">
      <thead><tr><th scope="col">Case</th>${versions.map(version => html`<th scope="col">Version ${version}</th>`)}</tr></thead>
      <tbody>${places.map(place => html`<tr><th scope="row"><bdi>${of(versions[0])[place].case}</bdi></th>
        ${versions.map(version => html`<td><${Cell} one=${of(version)[place]}/></td>`)}</tr>`)}</tbody></table></div>`
}

const SHOWN = 4000

/** @param {{one: any}} props */
function Cell({ one }) {
  const passed = one.failures.length === 0
  const { answer, output_tokens } = one
  return html`<span class=${`outcome ${passed ? 'finished' : 'failed'}`}>${passed ? 'passed' : 'failed'}</span>
    <span class="soft small">${output_tokens === null ? '' : `${count(output_tokens)} tokens, `}${seconds(one.took_s)}</span>
    ${one.failures.map((/** @type {string} */ why) => html`<p class="small"><bdi>${why}</bdi></p>`)}
    ${answer && html`<p class="said" dir="auto">${answer.slice(0, SHOWN)}${answer.length > SHOWN ? ' …' : ''}</p>`}`
}
