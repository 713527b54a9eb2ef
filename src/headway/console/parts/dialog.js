// @ts-check
// A question before something is done, and a sentence after it.

import { html, signal, useEffect, useRef, useState } from '../vendor/libraries.js'

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {any} body
 * @property {string} [act] the label of the button that does it; none: there is nothing to do
 * @property {boolean} [danger]
 * @property {() => Promise<string | void>} [onAct] does it; returns a sentence to show
 */

/** @type {import('../vendor/libraries.js').Signal<Question | null>} */
const open = signal(null)
const note = signal('')
const wrong = signal('')

/** Ask before something is done. @param {Question} question */
export function confirm(question) {
  wrong.value = ''
  open.value = question
}

/** Show something. @param {{title: string, body: any}} what */
export const show = confirm

/** @param {string} sentence shown for a while */
export function say(sentence) {
  note.value = sentence
  setTimeout(() => { if (note.value === sentence) note.value = '' }, 6000)
}

export function Dialogs() {
  const question = open.value
  const box = useRef(/** @type {HTMLDialogElement | null} */ (null))
  const [busy, setBusy] = useState(false)
  useEffect(() => {
    if (question && !box.current?.open) box.current?.showModal()
  }, [question])
  async function act() {
    setBusy(true)
    try {
      const sentence = await question?.onAct?.()
      open.value = null
      if (sentence) say(sentence)
    } catch (error) {
      wrong.value = /** @type {Error} */ (error).message
    }
    setBusy(false)
  }
  return html`
    ${question && html`<dialog ref=${box} aria-labelledby="question"
        onClose=${() => { open.value = null }}>
      <h2 id="question">${question.title}</h2>
      <div>${question.body}</div>
      ${wrong.value && html`<p class="error" role="alert">${wrong.value}</p>`}
      <p class="row end">
        <button onClick=${() => box.current?.close()}>${question.act ? 'Leave it' : 'Close'}</button>
        ${question.act && html`<button disabled=${busy} onClick=${act}
          class=${question.danger ? 'main danger' : 'main'}>${question.act}</button>`}
      </p></dialog>`}
    <p class=${note.value ? 'note shown' : 'note'} role="status">${note.value}</p>`
}
