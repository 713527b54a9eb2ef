// @ts-check
// One side of the playground: what is asked of which model, and the request that follows.

import { versionOf } from './registered.js'

/**
 * @typedef {object} Side what differs between the two
 * @property {string} prompt a registered one, `name@version`; empty: none
 * @property {string} model empty: that of the prompt
 * @property {string} tier
 * @property {string} system
 * @property {string} temperature
 * @property {string} maxTokens
 * @property {string} further fields of the request, as JSON: tools, a schema for the answer
 */

/**
 * @typedef {object} Input what both sides get
 * @property {string} text
 * @property {Record<string, string>} values of variables
 * @property {import('./media.js').Medium[]} media
 */

/** @type {Side} */
export const FRESH = { prompt: '', model: 'default', tier: '', system: '', temperature: '', maxTokens: '256', further: '' }

/**
 * The side with another prompt: what a prompt says itself is not said beside it.
 * @param {string} prompt @returns {Partial<Side>}
 */
export function withPrompt(prompt) {
  return prompt === '' ? { prompt, model: FRESH.model, maxTokens: FRESH.maxTokens } : { prompt, model: '', maxTokens: '' }
}

/**
 * The chat so far, and what is said next.
 * @param {Side} side @param {import('../../parts/chat.js').Message[]} history
 * @param {Input} input @param {any[]} prompts those of the registry
 * @returns {import('../../parts/chat.js').Chat}
 */
export function nextChat(side, history, input, prompts) {
  const messages = [...history]
  const content = contentOf(input)
  if (content.length > 0) messages.push(...next(history.at(-1), content))
  if (!side.prompt && side.system.trim()) messages.unshift({ role: 'system', content: side.system })
  const [id, version] = side.prompt.split('@')
  return {
    ...(side.model && { model: side.model }),
    ...(id && { prompt: { id, version, variables: variablesOf(side, input, prompts) } }),
    ...(messages.length > 0 && { messages }),
    ...(side.temperature !== '' && { temperature: Number(side.temperature) }),
    ...(side.maxTokens !== '' && { max_tokens: Number(side.maxTokens) }),
    ...furtherOf(side)
  }
}

/**
 * What somebody says after `last`: after calls it is what the functions returned.
 * @param {import('../../parts/chat.js').Message | undefined} last @param {any} content
 * @returns {import('../../parts/chat.js').Message[]}
 */
export function next(last, content) {
  if (!last?.tool_calls) return [{ role: 'user', content }]
  return last.tool_calls.map(call => ({ role: 'tool', tool_call_id: call.id, content }))
}

/** @param {Input} input @returns {any} a text, or parts where there are images or audio beside it */
export function contentOf({ text, media }) {
  if (media.length === 0) return text
  return [...(text.trim() ? [{ type: 'text', text }] : []), ...media.map(one => one.part)]
}

/** The values that this side's prompt takes. @param {Side} side @param {Input} input @param {any[]} prompts */
function variablesOf(side, { values }, prompts) {
  const declared = versionOf(prompts, side.prompt)?.variables ?? []
  return Object.fromEntries(declared
    .filter((/** @type {any} */ one) => (values[one.name] ?? '') !== '')
    .map((/** @type {any} */ one) => [one.name, values[one.name]]))
}

/** @param {Side} side @returns {object | null} its further fields; null: they are not JSON */
export function furtherOf(side) {
  if (!side.further.trim()) return {}
  try {
    const fields = JSON.parse(side.further)
    return typeof fields === 'object' && !Array.isArray(fields) ? fields : null
  } catch { return null }
}
