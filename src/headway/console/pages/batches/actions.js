// @ts-check
// What may be done with a batch, each after a question.

import { html } from '../../vendor/libraries.js'
import { confirm } from '../../parts/dialog.js'
import { plural } from '../../parts/format.js'
import { ask } from '../../parts/session.js'

/** @type {Record<string, {title: string, body: string, act: string, done: string, danger?: boolean}>} */
const QUESTIONS = {
  pause: {
    title: 'Pause this batch?', act: 'Pause', done: 'The batch is paused.',
    body: 'No more lines begin until somebody resumes it; those under way go on. The time until it expires goes on, too.'
  },
  resume: { title: 'Let this batch go on?', act: 'Resume', done: 'The batch goes on.', body: 'Its lines begin again as there is room.' },
  cancel: {
    title: 'Cancel this batch?', act: 'Cancel the batch', done: 'The batch is cancelled.', danger: true,
    body: 'It cannot go on afterwards. What was answered stays in its file; the rest can be run again as a new batch.'
  }
}

/** @param {any} batch @param {'pause' | 'resume' | 'cancel'} what @param {() => void} onDone */
export function change(batch, what, onDone) {
  const { body, done, ...question } = QUESTIONS[what]
  confirm({
    ...question,
    body: html`<p>${body}</p><p class="soft mono">${batch.id}</p>`,
    onAct: async () => {
      await ask(`v1/batches/${batch.id}/${what}`, { method: 'POST' })
      onDone()
      return done
    }
  })
}

/** @param {any} batch @param {() => void} onDone */
export function retry(batch, onDone) {
  confirm({
    title: 'Run what failed again?',
    body: html`<p>A new batch begins, of ${plural(batch.request_counts.failed, 'line')}: those that are in the error file.</p>
      <p class="soft mono">${batch.id}</p>`,
    act: 'Begin the new batch',
    onAct: async () => {
      await ask(`v1/batches/${batch.id}/retry`, { method: 'POST' })
      onDone()
      return 'The new batch has begun.'
    }
  })
}
