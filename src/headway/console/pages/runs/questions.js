// @ts-check
// What runs ask people, and their answers.

import { html, useState } from '../../vendor/libraries.js'
import { mayChange } from '../../parts/actions.js'
import { useAnswer } from '../../parts/answer.js'
import { confirm } from '../../parts/dialog.js'
import { seconds, when } from '../../parts/format.js'
import { LongText } from '../../parts/long_text.js'
import { ask, session } from '../../parts/session.js'
import { runsAddress, workerPath } from './address.js'

const EVERY_S = 2

/**
 * @typedef {object} Asked
 * @property {string} run
 * @property {string} path
 * @property {number} asked_at
 * @property {number | null} due_at
 * @property {{text: string, choices: string[], edit: any, about: any}} question
 */

/** @param {{worker: string, run?: string}} props `run`: only its questions; else all of the worker */
export function Questions({ worker, run }) {
  const { answer, again } = useAnswer(workerPath(worker, 'questions'), EVERY_S)
  /** @type {Asked[]} */
  const asked = (answer?.questions ?? []).filter((/** @type {Asked} */ one) => run === undefined || one.run === run)
  if (asked.length === 0) return null
  return html`<section class="questions" aria-labelledby="asked"><h2 id="asked">${asked.length === 1 ? 'A person is asked' : `People are asked ${asked.length} things`}</h2>
    ${asked.map(one => html`<${One} key=${`${one.run} ${one.path}`} worker=${worker} asked=${one} onAnswer=${again} elsewhere=${run === undefined}/>`)}</section>`
}

/** @param {any} value */
function text(value) {
  return typeof value === 'string' ? value : JSON.stringify(value, null, 2)
}

/** @param {{worker: string, asked: Asked, onAnswer: () => void, elsewhere: boolean}} props */
function One({ worker, asked, onAnswer, elsewhere }) {
  const { question, run, path, due_at } = asked
  const edits = question.choices.length === 0 && question.edit !== null
  const [draft, setDraft] = useState(() => edits ? text(question.edit) : '')
  const [why, setWhy] = useState('')
  const [wrong, setWrong] = useState('')
  const id = `${run}-${path}`
  /** @param {string} act @param {{accept: boolean, value?: any, why?: string}} said */
  const send = (act, said) => confirm({
    title: said.accept ? `Answer “${act}”?` : 'Reject it?',
    body: html`<p><bdi>${question.text}</bdi></p>${!said.accept && html`<p>The run gets a no${said.why ? html`: <bdi>${said.why}</bdi>` : ''}.</p>`}
      <p class="soft">The first answer counts. ${session.value?.viewer ? `It is written down as given with key ${session.value.viewer.name}.` : ''}</p>`,
    act: said.accept ? act : 'Reject', danger: !said.accept,
    onAct: async () => {
      await ask(workerPath(worker, 'runs', run, 'answers'), { json: { path, ...said } })
      onAnswer()
      return 'The run has its answer.'
    }
  })
  function goOn() {
    let value = /** @type {any} */ (draft)
    if (typeof question.edit !== 'string') {
      try { value = JSON.parse(draft) } catch { setWrong('This is no JSON: mend it, then go on.'); return }
    }
    setWrong('')
    send('Go on with this', { accept: true, value })
  }
  return html`<article class="question" aria-labelledby=${id}>
    <h3 id=${id}><bdi>${question.text}</bdi></h3>
    <p class="soft small">${elsewhere && html`<a class="mono" href=${runsAddress(worker, { run })}>${run}</a>, `}step <span class="mono">${path}</span>,
      asked ${when(asked.asked_at)}${due_at !== null && html`, <strong>${seconds(Math.max(0, due_at - Date.now() / 1000))} left</strong>`}</p>
    ${question.about !== null && html`<${LongText} text=${text(question.about)}/>`}
    ${mayChange() ? html`
      ${edits && html`<label class="small" for=${`${id}-edit`}>Change it before it goes on${typeof question.edit === 'string' ? '' : ', as JSON'}</label>
        <textarea id=${`${id}-edit`} rows="6" dir="auto" value=${draft} onInput=${(/** @type {any} */ event) => setDraft(event.target.value)}></textarea>`}
      ${wrong && html`<p class="error" role="alert">${wrong}</p>`}
      <div class="row">${edits ? html`<button class="main" onClick=${goOn}>Go on with this</button>`
        : question.choices.length > 0 ? question.choices.map(one => html`<button class="main" onClick=${() => send(one, { accept: true, value: one })}><bdi>${one}</bdi></button>`)
        : html`<button class="main" onClick=${() => send('Approve', { accept: true })}>Approve</button>`}
        <span class="space"></span>
        <span class="reject"><label class="unseen" for=${`${id}-why`}>Why not</label><input id=${`${id}-why`} placeholder="why not" value=${why}
          onInput=${(/** @type {any} */ event) => setWhy(event.target.value)}/>
        <button class="danger" onClick=${() => send('', { accept: false, why })}>Reject</button></span></div>`
      : html`<p class="soft">This key may only look; somebody else answers.</p>`}</article>`
}
