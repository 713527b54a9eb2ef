// @ts-check
// One streamed chat completion.

import { ask, send } from './session.js'
import { eventIn, linesOf } from './stream.js'

/**
 * @typedef {object} Message
 * @property {string} role
 * @property {any} content
 * @property {Call[]} [tool_calls]
 * @property {string} [tool_call_id]
 *
 * @typedef {{id: string, type: 'function', function: {name: string, arguments: string}}} Call
 */

/**
 * @typedef {object} Chat
 * @property {string} [model] none: that of the prompt
 * @property {{id: string, version: string, variables: Record<string, string>}} [prompt] a registered one
 * @property {Message[]} [messages]
 * @property {number} [temperature]
 * @property {number} [max_tokens]
 * @property {object} [response_format]
 */

/**
 * @typedef {object} Hearing what is called while the answer comes
 * @property {(text: string) => void} onText
 * @property {(place: number, part: Partial<Call>) => void} onCall a piece of the call in this place
 * @property {(sentence: string) => void} onWait where it stands in the queue
 * @property {(headers: Headers) => void} onBegin
 * @property {(usage: any) => void} onUsage
 * @property {(reason: string) => void} onEnd
 */

/**
 * Ask, and hear the answer as it comes. Throws what it is refused with, also in the middle of the stream.
 * @param {Chat} chat @param {string} tier empty: as the gateway decides
 * @param {Hearing} hearing @param {AbortSignal} signal ends it
 */
export async function converse(chat, tier, hearing, signal) {
  const body = { ...chat, stream: true, stream_options: { include_usage: true } }
  const answer = await send('v1/chat/completions', { json: body, headers: headersOf(tier), signal })
  hearing.onBegin(answer.headers)
  for await (const line of linesOf(answer)) hear(line, hearing)
}

/**
 * What is predicted of a chat, as if it were sent now.
 * @param {Chat} chat @param {string} tier empty: as the gateway decides
 * @param {string} policy also predict its wait under this one; empty: under the one in use only
 * @returns {Promise<any>} see PredictedChat in gateway/api/views.py
 */
export function predict(chat, tier, policy) {
  return ask(`v1/headway/predict?${new URLSearchParams({ policy })}`, { json: chat, headers: headersOf(tier) })
}

/** @param {string} tier @returns {Record<string, string>} */
function headersOf(tier) {
  return tier ? { 'x-headway-tier': tier } : {}
}

/** @param {string} line @param {Hearing} hearing */
function hear(line, hearing) {
  if (line.startsWith(':')) {
    hearing.onWait(line.slice(1).trim())
    return
  }
  const event = eventIn(line)
  if (event === null) return
  const choice = event.choices?.[0]
  if (choice?.delta?.content) hearing.onText(choice.delta.content)
  for (const call of choice?.delta?.tool_calls ?? []) hearing.onCall(call.index ?? 0, call)
  if (choice?.finish_reason) hearing.onEnd(choice.finish_reason)
  if (event.usage) hearing.onUsage(event.usage)
}

/** @param {Chat} chat @param {string} tier @param {boolean} keyed @returns {string} for a shell */
export function asCurl(chat, tier, keyed) {
  const words = [`curl ${base()}/v1/chat/completions`, "-H 'Content-Type: application/json'"]
  if (keyed) words.push('-H "Authorization: Bearer $HEADWAY_KEY"')
  if (tier) words.push(`-H 'x-headway-tier: ${tier}'`)
  words.push(`-d '${JSON.stringify(chat, null, 2).replaceAll("'", "'\\''")}'`)
  return words.join(' \\\n  ')
}

/** Fields that OpenAI's client takes by name; it refuses names that it does not know. */
const IN_CLIENT = ['temperature', 'max_tokens', 'tools', 'tool_choice', 'response_format', 'n', 'seed', 'stop', 'top_p']

/** @param {Chat} chat @param {string} tier @param {boolean} keyed @returns {string} with OpenAI's client */
export function asPython(chat, tier, keyed) {
  const { model = 'default', messages = [], ...fields } = chat
  const settings = Object.entries(fields).filter(([name]) => IN_CLIENT.includes(name))
  const others = Object.fromEntries(Object.entries(fields).filter(([name]) => !IN_CLIENT.includes(name)))
  const key = keyed ? 'os.environ["HEADWAY_KEY"]' : '"none"'
  const options = [
    `    model=${text(model)},`,
    '    messages=[',
    ...messages.map(one => `        ${python(one)},`),
    '    ],',
    ...settings.map(([name, value]) => `    ${name}=${python(value)},`)
  ]
  if (Object.keys(others).length > 0) options.push(`    extra_body=${python(others)},`)
  if (tier) options.push(`    extra_headers={"x-headway-tier": ${text(tier)}},`)
  return [
    ...(keyed ? ['import os', ''] : []),
    'from openai import OpenAI', '',
    `client = OpenAI(base_url=${text(`${base()}/v1`)}, api_key=${key})`,
    'answer = client.chat.completions.create(', ...options, ')',
    `print(answer.choices[0].message${'tools' in fields ? '' : '.content'})`
  ].join('\n')
}

/** @returns {string} the gateway's address, as this page reaches it */
function base() {
  return location.origin + location.pathname.replace(/\/console$/, '')
}

/** @param {string} value a literal of Python: JSON's escapes mean the same there */
function text(value) {
  return JSON.stringify(value)
}

/** @param {any} value @returns {string} */
function python(value) {
  if (value === true) return 'True'
  if (value === false) return 'False'
  if (value === null) return 'None'
  if (Array.isArray(value)) return `[${value.map(python).join(', ')}]`
  if (typeof value === 'object') {
    return `{${Object.entries(value).map(([name, one]) => `${text(name)}: ${python(one)}`).join(', ')}}`
  }
  return JSON.stringify(value)
}
