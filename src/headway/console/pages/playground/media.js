// @ts-check
// Images and audio beside a message, offered where the models take them.

import { html } from '../../vendor/libraries.js'
import { say } from '../../parts/dialog.js'

/**
 * @typedef {object} Medium
 * @property {string} name of the file
 * @property {string} url its content as a data URL
 * @property {any} part of the message
 */

/** @type {Record<string, {label: string, accept: string}>} */
const KINDS = {
  image: { label: 'Add an image', accept: 'image/png,image/jpeg,image/webp,image/gif' },
  audio: { label: 'Add audio', accept: '.wav,.mp3,audio/wav,audio/mpeg' }
}

/** @param {{takes: string[], media: Medium[], onSet: (media: Medium[]) => void}} props */
export function Media({ takes, media, onSet }) {
  /** @param {any} event */
  async function add(event) {
    const files = [...event.target.files]
    event.target.value = ''
    try {
      onSet([...media, ...await Promise.all(files.map(read))])
    } catch { say('The file cannot be read; choose it again.') }
  }
  const offered = Object.entries(KINDS).filter(([kind]) => takes.includes(kind))
  if (offered.length === 0 && media.length === 0) return null
  return html`<div class="row media">
    ${offered.map(([kind, { label, accept }]) => html`<label class="file" key=${kind}>${label}
      <input type="file" class="unseen" multiple accept=${accept} onChange=${add}/></label>`)}
    ${media.map((one, place) => html`<${Shown} key=${place} one=${one}
      onRemove=${() => onSet(media.filter(other => other !== one))}/>`)}</div>`
}

/** @param {{one: Medium, onRemove?: () => void}} props */
export function Shown({ one, onRemove }) {
  const image = one.part.type === 'image_url'
  return html`<span class="medium">${image ? html`<img src=${one.url} alt=${one.name}/>`
    : html`<audio controls src=${one.url} aria-label=${one.name}></audio>`}
    ${onRemove && html`<button type="button" class="quiet" onClick=${onRemove}>Remove<span class="unseen"> ${one.name}</span></button>`}</span>`
}

/** @param {File} file @returns {Promise<Medium>} */
async function read(file) {
  const url = await new Promise((done, failed) => {
    const reader = new FileReader()
    reader.onload = () => done(/** @type {string} */ (reader.result))
    reader.onerror = failed
    reader.readAsDataURL(file)
  })
  const part = file.type.startsWith('image/')
    ? { type: 'image_url', image_url: { url } }
    : { type: 'input_audio', input_audio: { data: url.slice(url.indexOf(',') + 1), format: /mp(3|eg)/.test(file.type) ? 'mp3' : 'wav' } }
  return { name: file.name, url, part }
}
