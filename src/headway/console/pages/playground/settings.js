// @ts-check
// What one side asks, of which model, and how.

import { html } from '../../vendor/libraries.js'
import { TIERS } from '../../parts/actions.js'
import { PromptChoice } from './registered.js'
import { furtherOf, withPrompt } from './side.js'

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

/**
 * @param {object} props
 * @param {import('./side.js').Side} props.side
 * @param {number} props.number
 * @param {string[]} props.models
 * @param {any[]} props.prompts
 * @param {(change: Partial<import('./side.js').Side>) => void} props.onChange
 */
export function Settings({ side, number, models, prompts, onChange }) {
  const id = (/** @type {string} */ field) => `${field}-${number}`
  /** @param {keyof import('./side.js').Side} field */
  const set = field => (/** @type {any} */ event) => onChange({ [field]: event.target.value })
  const own = side.prompt !== ''
  return html`<div class="settings">
    ${prompts.length > 0 && html`<label class="long" for=${id('prompt')}>Registered prompt <${PromptChoice} id=${id('prompt')}
      prompts=${prompts} value=${side.prompt} onSet=${(/** @type {string} */ prompt) => onChange(withPrompt(prompt))}/></label>`}
    <label for=${id('model')}>Model <select id=${id('model')} value=${side.model} onChange=${set('model')}>
      ${own && html`<option value="">the prompt's</option>`}
      ${models.map(one => html`<option value=${one}>${one}</option>`)}</select></label>
    <label for=${id('tier')}>Tier <select id=${id('tier')} value=${side.tier} onChange=${set('tier')}>
      <option value="">as usual</option>
      ${TIERS.map(one => html`<option value=${one}>${one}</option>`)}</select></label>
    <label for=${id('temperature')}>Temperature <input id=${id('temperature')} type="number" min="0" max="2" step="0.1"
      placeholder=${own ? "prompt's" : "model's"} value=${side.temperature} onInput=${set('temperature')}/></label>
    <label for=${id('tokens')}>Most tokens <input id=${id('tokens')} type="number" min="1" step="1"
      placeholder=${own ? "prompt's" : 'no limit'} value=${side.maxTokens} onInput=${set('maxTokens')}/></label>
    <details class="long"><summary>Tools, JSON schema and other fields</summary>
      <label for=${id('further')}>Further fields of the request, as a JSON object</label>
      <textarea id=${id('further')} rows="5" spellcheck=${false} value=${side.further} onInput=${set('further')}
        aria-invalid=${furtherOf(side) === null ? 'true' : null} aria-describedby=${id('wrong')}></textarea>
      <p id=${id('wrong')} class="error small">${furtherOf(side) === null ? 'This is no JSON object, so nothing is sent.' : ''}</p>
      <div class="row">${Object.entries(EXAMPLES).map(([label, fields]) => html`
        <button class="quiet" onClick=${() => onChange({ further: JSON.stringify(fields, null, 2) })}>${label}</button>`)}</div>
    </details>
    ${!own && html`<label class="long" for=${id('system')}>System prompt <input id=${id('system')} value=${side.system} placeholder="none" onInput=${set('system')}/></label>`}
  </div>`
}
