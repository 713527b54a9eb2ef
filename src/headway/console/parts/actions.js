// @ts-check
// What an admin may do, each after a question.

import { html, useState } from '../vendor/libraries.js'
import { confirm } from './dialog.js'
import { ask, session } from './session.js'

/** @returns {boolean} whether whoever looks may also act */
export function mayOperate() {
  return session.value?.may_operate ?? false
}

/** @returns {boolean} whether whoever looks may change what is their own */
export function mayChange() {
  return !session.value?.viewer?.read_only
}

/** @param {string} id */
export function cancelRequest(id) {
  confirm({
    title: 'Cancel this request?',
    body: html`<p>Its client gets an error at once, and what was generated so far is dropped.</p>
      <p class="soft mono">${id}</p>`,
    act: 'Cancel the request',
    danger: true,
    onAct: async () => {
      await ask(`v1/headway/requests/${encodeURIComponent(id)}/cancel`, { method: 'POST' })
      return 'The request is cancelled.'
    }
  })
}

export const TIERS = ['interactive', 'standard', 'batch']

/** @param {string} id @param {string} from its tier @param {string} to */
export function moveRequest(id, from, to) {
  confirm({
    title: `Move this request to tier ${to}?`,
    body: html`<p>${TIERS.indexOf(to) < TIERS.indexOf(from)
      ? 'It goes before all that waits in lower tiers.'
      : 'It goes behind all that waits in higher tiers.'}</p><p class="soft mono">${id}</p>`,
    act: `Move to ${to}`,
    onAct: async () => {
      await ask(`v1/headway/requests/${encodeURIComponent(id)}/tier`, { json: { tier: to } })
      return `The request waits in tier ${to} now.`
    }
  })
}

/** @param {string} name @param {boolean} drains whether it drains already */
export function drainBackend(name, drains) {
  const path = `v1/headway/backends/${encodeURIComponent(name)}/${drains ? 'resume' : 'drain'}`
  confirm({
    title: drains ? `Let ${name} take requests again?` : `Drain ${name}?`,
    body: drains ? html`<p>It gets new requests at once.</p>` : html`
      <p>It finishes what runs there and gets no new requests, until somebody resumes it or the
      gateway restarts. If no other backend serves its models, requests for them wait and then
      fail.</p>`,
    act: drains ? 'Resume' : 'Drain',
    danger: !drains,
    onAct: async () => {
      await ask(path, { method: 'POST' })
      return drains ? `${name} takes requests again.` : `${name} drains.`
    }
  })
}

/**
 * @param {string} present the policy that is switched from
 * @param {string} [first] the one that is chosen to begin with
 */
export function switchPolicy(present, first = present) {
  let wanted = first
  confirm({
    title: 'Order by another policy',
    body: html`<${Choice} present=${present} first=${first} onChoice=${(/** @type {string} */ name) => { wanted = name }}/>`,
    act: 'Switch',
    onAct: async () => {
      await ask('v1/headway/policy', { json: { policy: wanted, instead_of: present } })
      return `Requests are ordered by ${wanted} now.`
    }
  })
}

/** @param {{present: string, first: string, onChoice: (name: string) => void}} props */
function Choice({ present, first, onChoice }) {
  const [name, setName] = useState(first)
  const policies = session.value?.policies ?? []
  return html`<p class="row"><label for="policy">Policy</label><select id="policy" value=${name}
      onChange=${(/** @type {any} */ event) => { setName(event.target.value); onChoice(event.target.value) }}>
      ${policies.map(one => html`<option value=${one.name}>${one.name}${one.name === present ? ' (now)' : ''}: ${one.about}</option>`)}
    </select></p>
    <p class="soft">What waits is ranked anew at once. A restart begins with the configured policy
    again.</p>`
}
