// @ts-check
// Chat with any model; two side by side on the same input.

import { html, useEffect, useRef, useState } from '../vendor/libraries.js'
import { TIERS } from '../parts/actions.js'
import { asCurl, asPython, converse, predict } from '../parts/chat.js'
import { Copy } from '../parts/copy.js'
import { say } from '../parts/dialog.js'
import { between, count, plural, seconds } from '../parts/format.js'
import { ask, session } from '../parts/session.js'
import { Answer, useAnswer } from './playground/answer.js'

export const name = 'playground'
export const title = 'Playground'

/**
 * @typedef {object} Side what differs between the two
 * @property {string} model
 * @property {string} tier
 * @property {string} system
 * @property {string} temperature
 * @property {string} maxTokens
 * @property {string} further fields of the request, as JSON: tools, a schema for the answer
 */

/** @type {Side} */
const FRESH = { model: 'default', tier: '', system: '', temperature: '', maxTokens: '256', further: '' }

/** What may be put into further fields, to begin with. */
const EXAMPLES = {
  'JSON schema': {
    response_format: {
      type: 'json_schema',
      json_schema: {
        name: 'city',
        schema: {
          type: 'object', required: ['name', 'country'], additionalProperties: false,
          properties: { name: { type: 'string' }, country: { type: 'string' } }
        }
      }
    }
  },
  Tools: {
    tools: [{
      type: 'function',
      function: {
        name: 'weather', description: 'The weather in a city now',
        parameters: { type: 'object', required: ['city'], properties: { city: { type: 'string' } } }
      }
    }]
  }
}

export function Page() {
  const [models, setModels] = useState(/** @type {string[] | null} */ (null))
  const [sides, setSides] = useState([FRESH])
  const [prompt, setPrompt] = useState('')
  const answers = [useAnswer(), useAnswer()]
  const stop = useRef(/** @type {AbortController | null} */ (null))
  const busy = answers.some(one => one.state.busy)
  useEffect(() => {
    ask('v1/models').then(
      found => setModels(found.data.map((/** @type {any} */ one) => one.id)), error => say(error.message))
    return () => stop.current?.abort()
  }, [])

  const predicted = usePredictions(sides, answers, prompt, busy)

  /** @param {number} number @param {Partial<Side>} change */
  function alter(number, change) {
    setSides(sides.map((one, place) => place === number ? { ...one, ...change } : one))
  }
  /** @param {Event} [event] */
  async function submit(event) {
    event?.preventDefault()
    if (busy || !prompt.trim() || sides.some(side => furtherOf(side) === null)) return
    const control = stop.current = new AbortController()
    const text = prompt
    setPrompt('')
    await Promise.all(sides.map((side, number) => {
      const answer = answers[number]
      const chat = nextChat(side, answer, text)
      const hearing = answer.begin(text)
      return converse(chat, side.tier, hearing, control.signal)
        .then(() => answer.end(), error => answer.end(control.signal.aborted ? 'stopped' : error.message))
    }))
  }
  /** @param {KeyboardEvent} event */
  function typed(event) {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) submit()
  }
  function clear() { answers.forEach(one => one.clear()) }
  const two = sides.length === 2
  return html`<div class="row head"><h1>Playground</h1><span class="space"></span>
      <button onClick=${() => setSides(two ? [sides[0]] : [sides[0], { ...sides[0] }])}>
        ${two ? 'One answer' : 'Two side by side'}</button>
      <button onClick=${clear} disabled=${busy}>New chat</button></div>
    <div class=${two ? 'sides two' : 'sides'}>
      ${sides.map((side, number) => html`<section key=${number} aria-label=${two ? `Answer ${number + 1}` : 'Answer'}>
        <${Settings} side=${side} number=${number} models=${models} onChange=${(/** @type {Partial<Side>} */ change) => alter(number, change)}/>
        <${Answer} state=${answers[number].state}/>
        <${Predicted} predicted=${predicted[number]}/>
        <${Figures} figures=${answers[number].state.figures}/>
        <${Code} chat=${() => nextChat(side, answers[number], prompt || 'Hello!')} tier=${side.tier}/>
      </section>`)}
    </div>
    <form class="composer" onSubmit=${submit}>
      <label class="unseen" for="prompt">Message</label>
      <textarea id="prompt" rows="3" placeholder="Say something to the model; Ctrl+Enter sends it" value=${prompt}
        onInput=${(/** @type {any} */ event) => setPrompt(event.target.value)} onKeyDown=${typed}></textarea>
      ${busy
        ? html`<button type="button" class="main danger" onClick=${() => stop.current?.abort()}>Stop</button>`
        : html`<button class="main" disabled=${!prompt.trim()}>Send</button>`}
    </form>`
}

/**
 * What is predicted of the message as it is typed, for each side; empty while nothing is typed.
 * @param {Side[]} sides @param {ReturnType<typeof useAnswer>[]} answers
 * @param {string} prompt @param {boolean} busy
 * @returns {any[]}
 */
function usePredictions(sides, answers, prompt, busy) {
  const [predicted, setPredicted] = useState(/** @type {any[]} */ ([]))
  const wanted = busy || !prompt.trim() ? '' : JSON.stringify([sides, prompt])
  useEffect(() => {
    setPredicted([])
    if (!wanted) return
    let late = false
    const timer = setTimeout(async () => {
      const found = await Promise.all(sides.map((side, number) => {
        const chat = nextChat(side, answers[number], prompt)
        return predict(chat, side.tier).catch(() => null)
      }))
      if (!late) setPredicted(found)
    }, SETTLED_MS)
    return () => { late = true; clearTimeout(timer) }
  }, [wanted])
  return predicted
}

const SETTLED_MS = 400

/** @param {{predicted: any}} props */
function Predicted({ predicted }) {
  if (!predicted) return null
  const { output_tokens, output_low, output_high, wait_s, ahead, policy } = predicted
  return html`<p class="soft small" role="status">If it is sent now: about ${count(output_tokens)} tokens
    (80%: ${between(output_low, output_high)}), ${wait_s < 0.05 ? 'at once' : `after about ${seconds(wait_s)}`}${
      ahead ? `, behind ${plural(ahead, 'other')} by ${policy}` : ''}.</p>`
}

/**
 * The chat so far, and what is said next.
 * @param {Side} side @param {ReturnType<typeof useAnswer>} answer @param {string} text
 */
function nextChat(side, answer, text) {
  const messages = [...answer.history(), { role: 'user', content: text }]
  /** @type {import('../parts/chat.js').Chat} */
  const chat = {
    model: side.model,
    messages: side.system.trim() ? [{ role: 'system', content: side.system }, ...messages] : messages
  }
  if (side.temperature !== '') chat.temperature = Number(side.temperature)
  if (side.maxTokens !== '') chat.max_tokens = Number(side.maxTokens)
  return { ...chat, ...furtherOf(side) }
}

/** @param {Side} side @returns {object | null} its further fields; null: they are not JSON */
function furtherOf(side) {
  if (!side.further.trim()) return {}
  try {
    const fields = JSON.parse(side.further)
    return typeof fields === 'object' && !Array.isArray(fields) ? fields : null
  } catch { return null }
}

/** @param {{side: Side, number: number, models: string[] | null, onChange: (change: Partial<Side>) => void}} props */
function Settings({ side, number, models, onChange }) {
  const id = (/** @type {string} */ field) => `${field}-${number}`
  /** @param {keyof Side} field */
  const set = field => (/** @type {any} */ event) => onChange({ [field]: event.target.value })
  return html`<div class="settings">
    <label for=${id('model')}>Model <select id=${id('model')} value=${side.model} onChange=${set('model')}>
      ${(models ?? [side.model]).map(one => html`<option value=${one}>${one}</option>`)}</select></label>
    <label for=${id('tier')}>Tier <select id=${id('tier')} value=${side.tier} onChange=${set('tier')}>
      <option value="">as usual</option>
      ${TIERS.map(one => html`<option value=${one}>${one}</option>`)}</select></label>
    <label for=${id('temperature')}>Temperature <input id=${id('temperature')} type="number" min="0" max="2" step="0.1"
      placeholder="model's" value=${side.temperature} onInput=${set('temperature')}/></label>
    <label for=${id('tokens')}>Most tokens <input id=${id('tokens')} type="number" min="1" step="1"
      placeholder="no limit" value=${side.maxTokens} onInput=${set('maxTokens')}/></label>
    <details class="long"><summary>Tools, JSON schema and other fields</summary>
      <label for=${id('further')}>Further fields of the request, as a JSON object</label>
      <textarea id=${id('further')} rows="5" spellcheck="false" value=${side.further} onInput=${set('further')}
        aria-invalid=${furtherOf(side) === null ? 'true' : null} aria-describedby=${id('wrong')}></textarea>
      <p id=${id('wrong')} class="error small">${furtherOf(side) === null ? 'This is no JSON object, so nothing is sent.' : ''}</p>
      <div class="row">${Object.entries(EXAMPLES).map(([label, fields]) => html`
        <button class="quiet" onClick=${() => onChange({ further: JSON.stringify(fields, null, 2) })}>${label}</button>`)}</div>
    </details>
    <label class="long" for=${id('system')}>System prompt <input id=${id('system')} value=${side.system} placeholder="none" onInput=${set('system')}/></label>
  </div>`
}

/** @param {{figures: any}} props */
function Figures({ figures }) {
  if (!figures) return null
  const { predicted, usage, first_s, whole_s } = figures
  const headway = usage?.headway
  const facts = [
    ['Predicted', predicted == null ? null : `${count(predicted)} tokens`],
    ['Output', usage ? `${count(usage.completion_tokens)} tokens` : null],
    ['Waited', headway ? seconds(headway.queue_ms / 1000) : null],
    ['First token', first_s == null ? null : seconds(first_s)],
    ['Whole answer', whole_s == null ? null : seconds(whole_s)],
    ['Ran on', headway ? `${headway.backend}, tier ${headway.tier}, by ${headway.policy}` : null],
    ['Preempted', headway?.preemptions ? `${headway.preemptions}×` : null]
  ]
  return html`<dl class="facts tight">${facts.filter(([, value]) => value !== null).map(([label, value]) =>
    html`<dt>${label}</dt><dd>${value}</dd>`)}</dl>`
}

/** Made only while it is open: the page is drawn with each token. @param {{chat: () => any, tier: string}} props */
function Code({ chat, tier }) {
  const [open, setOpen] = useState(false)
  const [shown, setShown] = useState('curl')
  const keyed = session.value?.access === 'signed_in'
  const text = open ? (shown === 'curl' ? asCurl : asPython)(chat(), tier, keyed) : ''
  return html`<details class="code" onToggle=${(/** @type {any} */ event) => setOpen(event.target.open)}><summary>The request as code</summary>
    <div class="row">${['curl', 'Python'].map(one => html`
      <button class="quiet" aria-pressed=${shown === one ? 'true' : 'false'} onClick=${() => setShown(one)}>${one}</button>`)}
      <span class="space"></span><${Copy} text=${text}/></div>
    <pre tabindex="0">${text}</pre></details>`
}
