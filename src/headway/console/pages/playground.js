// @ts-check
// Chat with any model; two models, prompts or settings side by side on the same input.

import { html, useEffect, useRef, useState } from '../vendor/libraries.js'
import { converse, predict } from '../parts/chat.js'
import { say } from '../parts/dialog.js'
import { ask } from '../parts/session.js'
import { Answer, useConversation } from './playground/answer.js'
import { Code } from './playground/code.js'
import { Figures, Predicted } from './playground/figures.js'
import { Media } from './playground/media.js'
import { byNumber, Variables, variablesOfBoth, versionOf } from './playground/registered.js'
import { Settings } from './playground/settings.js'
import { FRESH, furtherOf, nextChat, withPrompt } from './playground/side.js'

/** @typedef {import('./playground/side.js').Side} Side */
/** @typedef {import('./playground/side.js').Input} Input */

/** @type {Input} */
const EMPTY = { text: '', values: {}, media: [] }

/** @param {{query: URLSearchParams}} props */
export function Page({ query }) {
  const { models, prompts } = useOffered()
  const [sides, setSides] = useState([FRESH])
  const [input, setInput] = useState(EMPTY)
  const [policy, setPolicy] = useState('')
  const answers = [useConversation(), useConversation()]
  const stop = useRef(/** @type {AbortController | null} */ (null))
  const busy = answers.some(one => one.state.busy)
  useEffect(() => () => stop.current?.abort(), [])
  const named = query.getAll('prompt').slice(0, 2).map(one => byNumber(prompts, one)).filter(Boolean)
  useEffect(() => {
    if (named.length > 0) setSides(named.map(prompt => ({ ...FRESH, ...withPrompt(prompt) })))
  }, [named.join()])

  const declared = variablesOfBoth(prompts, sides)
  const missing = declared.filter(one => one.required && !input.values[one.name])
  const said = input.text.trim() !== '' || input.media.length > 0
  const ready = missing.length === 0 && sides.every(side => said || side.prompt) && sides.every(side => furtherOf(side))
  const chatOf = (/** @type {number} */ number) => nextChat(sides[number], answers[number].history(), input, prompts)
  const predicted = usePredictions(sides, chatOf, ready && !busy, policy)

  /** @param {number} number @param {Partial<Side>} change */
  function alter(number, change) {
    setSides(sides.map((one, place) => place === number ? { ...one, ...change } : one))
  }
  /** @param {Event} [event] */
  async function submit(event) {
    event?.preventDefault()
    if (busy || !ready) return
    const control = stop.current = new AbortController()
    setInput({ ...input, text: '', media: [] })
    await Promise.all(sides.map((side, number) => {
      const chat = chatOf(number)
      const answer = answers[number]
      const hearing = answer.begin(input, chat.prompt)
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
  const called = answers.slice(0, sides.length).map(one => one.called()).find(Boolean)
  return html`<div class="row head"><h1>Playground</h1><span class="space"></span>
      <button onClick=${() => setSides(two ? [sides[0]] : [sides[0], { ...sides[0] }])}>
        ${two ? 'One answer' : 'Two side by side'}</button>
      <button onClick=${clear} disabled=${busy}>New chat</button></div>
    <div class=${two ? 'sides two' : 'sides'}>
      ${sides.map((side, number) => html`<section key=${number} aria-label=${two ? `Answer ${number + 1}` : 'Answer'}>
        <${Settings} side=${side} number=${number} models=${models ? Object.keys(models) : [side.model]} prompts=${prompts}
          onChange=${(/** @type {Partial<Side>} */ change) => alter(number, change)}/>
        <${Answer} state=${answers[number].state}/>
        <${Predicted} predicted=${predicted[number]} number=${number} policy=${policy} onPolicy=${setPolicy}/>
        <${Figures} figures=${answers[number].state.figures}/>
        <${Code} chat=${() => nextChat(side, answers[number].history(), said || side.prompt ? input : { ...input, text: 'Hello!' }, prompts)} tier=${side.tier}/>
      </section>`)}
    </div>
    <form class="composer" onSubmit=${submit} onKeyDown=${typed}>
      ${declared.length > 0 && html`<${Variables} declared=${declared} values=${input.values}
        onSet=${(/** @type {Record<string, string>} */ values) => setInput({ ...input, values })}/>`}
      <${Media} takes=${takenByAll(sides, models, prompts)} media=${input.media}
        onSet=${(/** @type {Input['media']} */ media) => setInput({ ...input, media })}/>
      <div class="line-of-input"><label class="unseen" for="prompt">Message</label>
      <textarea id="prompt" rows=${declared.length > 0 ? 1 : 3} value=${input.text}
        placeholder=${called ? `What ${called} returns; Ctrl+Enter sends it` : declared.length > 0 ? 'A message after the prompt, if any; Ctrl+Enter sends' : 'Say something to the model; Ctrl+Enter sends it'}
        onInput=${(/** @type {any} */ event) => setInput({ ...input, text: event.target.value })}></textarea>
      ${busy
        ? html`<button type="button" class="main danger" onClick=${() => stop.current?.abort()}>Stop</button>`
        : html`<button class="main" disabled=${!ready}>Send${two ? ' to both' : ''}</button>`}</div>
    </form>`
}

/** The models with what they take, and the registered prompts. */
function useOffered() {
  const [models, setModels] = useState(/** @type {Record<string, string[]> | null} */ (null))
  const [prompts, setPrompts] = useState(/** @type {any[]} */ ([]))
  useEffect(() => {
    ask('v1/models').then(found => setModels(Object.fromEntries(found.data.map(
      (/** @type {any} */ one) => [one.id, one.architecture.input_modalities]))), error => say(error.message))
    ask('v1/headway/prompts').then(found => setPrompts(found.prompts), error => say(error.message))
  }, [])
  return { models, prompts }
}

/**
 * What the models of all sides take.
 * @param {Side[]} sides @param {Record<string, string[]> | null} models @param {any[]} prompts
 * @returns {string[]}
 */
function takenByAll(sides, models, prompts) {
  const taken = sides.map(side => models?.[side.model || versionOf(prompts, side.prompt)?.model || 'default'] ?? [])
  return taken[0].filter(kind => taken.every(one => one.includes(kind)))
}

/**
 * What is predicted of the message as it is typed, for each side; empty while nothing can be sent.
 * @param {Side[]} sides @param {(number: number) => any} chatOf
 * @param {boolean} wanted @param {string} policy also predict its wait under this one
 * @returns {any[]}
 */
function usePredictions(sides, chatOf, wanted, policy) {
  const [predicted, setPredicted] = useState(/** @type {any[]} */ ([]))
  const asked = wanted ? JSON.stringify([policy, ...sides.map((side, number) => [side.tier, chatOf(number)])]) : ''
  useEffect(() => {
    if (!asked) {
      setPredicted([])
      return
    }
    let late = false
    const timer = setTimeout(async () => {
      const found = await Promise.all(sides.map((side, number) =>
        predict(chatOf(number), side.tier, policy).catch(() => null)))
      if (!late) setPredicted(found)
    }, SETTLED_MS)
    return () => { late = true; clearTimeout(timer) }
  }, [asked])
  return predicted
}

const SETTLED_MS = 400
