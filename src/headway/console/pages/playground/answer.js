// @ts-check
// A chat as it grows: texts are shown as they are, never as HTML.

import { html, useRef, useState } from '../../vendor/libraries.js'
import { Shown } from './media.js'
import { contentOf, next } from './side.js'

/** Characters of one block of text: of a long answer only its last block is drawn again. */
const BLOCK = 8000

/**
 * @typedef {object} Turn
 * @property {'user' | 'assistant'} role
 * @property {string[]} blocks
 * @property {import('../../parts/chat.js').Call[]} calls of functions
 * @property {import('./media.js').Medium[]} [media]
 * @property {{id: string, version: string, variables: Record<string, string>}} [prompt] the registered one before it
 * @property {string} [error]
 */

/** The state of one chat, and what changes it. */
export function useConversation() {
  const now = useRef({ turns: /** @type {Turn[]} */ ([]), busy: false, wait: '', figures: /** @type {any} */ (null) })
  const [, draw] = useState(0)
  const drawing = useRef(0)
  // At most once a frame: an engine may send thousands of tokens a second.
  function redraw() {
    drawing.current ||= requestAnimationFrame(() => { drawing.current = 0; draw(number => number + 1) })
  }
  const state = now.current
  return {
    state,
    /** What was said, less what got no answer. */
    history() {
      const messages = /** @type {import('../../parts/chat.js').Message[]} */ ([])
      for (const [number, one] of state.turns.entries()) {
        const answer = one.role === 'user' ? state.turns[number + 1] : one
        if (answer.blocks.length === 0 && callsOf(answer).length === 0) continue
        const content = contentOf({ text: one.blocks.join(''), media: one.media ?? [], values: {} })
        if (one.role === 'user') { if (content.length > 0) messages.push(...next(messages.at(-1), content)) }
        else if (callsOf(one).length > 0) messages.push({ role: 'assistant', content: content || null, tool_calls: one.calls })
        else messages.push({ role: 'assistant', content })
      }
      return messages
    },
    /** @returns {string} the functions that the last answer calls; empty: none */
    called: () => callsOf(state.turns.at(-1)).map(call => call.function.name).join(', '),
    /**
     * @param {import('./side.js').Input} input @param {Turn['prompt']} prompt
     * @returns {import('../../parts/chat.js').Hearing}
     */
    begin({ text, media }, prompt) {
      const began = performance.now()
      /** @type {Turn} */
      const answer = { role: 'assistant', blocks: [], calls: [] }
      state.turns = [...state.turns, { role: 'user', blocks: [text], calls: [], media, prompt }, answer]
      state.busy = true
      state.wait = 'asking …'
      const figures = state.figures = /** @type {any} */ ({})
      redraw()
      return {
        onBegin(headers) {
          const predicted = headers.get('x-headway-predicted-tokens')
          figures.predicted = predicted === null ? null : Number(predicted)
          redraw()
        },
        onWait(sentence) { state.wait = sentence; redraw() },
        onText(text) {
          figures.first_s ??= (performance.now() - began) / 1000
          state.wait = ''
          const last = answer.blocks.length - 1
          if (last < 0 || answer.blocks[last].length > BLOCK) answer.blocks.push(text)
          else answer.blocks[last] += text
          redraw()
        },
        onCall(place, part) {
          figures.first_s ??= (performance.now() - began) / 1000
          state.wait = ''
          const call = answer.calls[place] ??= { id: '', type: 'function', function: { name: '', arguments: '' } }
          call.id ||= part.id ?? ''
          call.function.name ||= part.function?.name ?? ''
          call.function.arguments += part.function?.arguments ?? ''
          redraw()
        },
        onUsage(usage) { figures.usage = usage },
        onEnd(reason) {
          figures.whole_s = (performance.now() - began) / 1000
          if (reason === 'length') answer.error = 'It ends here: it has reached its most tokens.'
        }
      }
    },
    /** @param {string} [error] why it ended early */
    end(error) {
      state.busy = false
      state.wait = ''
      if (error) state.turns[state.turns.length - 1].error = error
      redraw()
    },
    clear() {
      state.turns = []
      state.figures = null
      redraw()
    }
  }
}

/** Its calls, if it came to its end: half a call is none. @param {Turn | undefined} turn */
function callsOf(turn) {
  return turn === undefined || turn.error ? [] : turn.calls
}

/** @param {{prompt: NonNullable<Turn['prompt']>}} props */
function Filled({ prompt: { id, version, variables } }) {
  return html`<p class="soft small">${id}@${version}${Object.entries(variables).map(([name, value]) => html`${', '}${name}: <bdi>${value.slice(0, 200)}${value.length > 200 ? ' …' : ''}</bdi>`)}</p>`
}

/** @param {{state: ReturnType<typeof useConversation>['state']}} props */
export function Answer({ state }) {
  if (state.turns.length === 0) return html`<p class="soft empty">Nothing was said yet.</p>`
  return html`<div class="chat" tabindex="0" role="log" aria-label="Chat">
    ${state.turns.map((turn, number) => html`<div class=${`turn ${turn.role}`} key=${number}>
      <span class="unseen">${turn.role === 'user' ? 'You' : 'Model'}: </span>
      ${turn.prompt && html`<${Filled} prompt=${turn.prompt}/>`}
      ${turn.media?.map((one, place) => html`<${Shown} one=${one} key=${place}/>`)}
      ${turn.blocks.map((block, place) => html`<span dir="auto" key=${place}>${block}</span>`)}
      ${turn.calls.map((call, place) => html`<p dir="auto" key=${`call-${place}`}>→ ${call.function.name} ${call.function.arguments}</p>`)}
      ${turn.error && html`<p class="error small">${turn.error}</p>`}
      ${state.wait && number === state.turns.length - 1 && html`<p class="soft small">${state.wait}</p>`}
    </div>`)}</div>`
}
