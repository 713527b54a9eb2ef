// The examples of the README of OpenAI's and Anthropic's Node clients that a text model can answer.
// node examples.js ADDRESS MODEL SILENT: prints a line of JSON for each; SILENT is the address of a
// gateway whose backend never answers.
import assert from 'node:assert/strict'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

const [address, model, silent] = process.argv.slice(2)
const baseURL = `${address}/v1`
const client = new OpenAI({ apiKey: 'none', baseURL, maxRetries: 0 })
const claude = new Anthropic({ apiKey: 'none', baseURL: address, maxRetries: 0 })
const input = 'Are semicolons optional in JavaScript?'
const hello = { model, max_tokens: 1024, messages: [{ role: 'user', content: 'Hello, Claude' }] }
const image = 'https://example.com/a.jpg'
const weather = {
  type: 'function',
  name: 'weather',
  description: 'The weather in a city.',
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
  strict: null,
}

const examples = {
  'usage of responses': async () =>
    (await client.responses.create({ model, instructions: 'Talk like a pirate', input })).output_text,

  'usage of chat completions': async () =>
    (
      await client.chat.completions.create({
        model,
        messages: [
          { role: 'developer', content: 'Talk like a pirate.' },
          { role: 'user', content: input },
        ],
      })
    ).choices[0].message.content,

  'conversations that the client keeps': async () => {
    const items = [{ role: 'user', content: input }]
    const first = await client.responses.create({ model, input: items, tools: [weather] })
    items.push(...first.output, { role: 'user', content: 'Why?' })
    return (await client.responses.create({ model, input: items })).output_text
  },

  vision: async () => {
    const content = [
      { type: 'input_text', text: 'What is in this image?' },
      { type: 'input_image', image_url: image },
    ]
    const asked = { model, input: [{ role: 'user', content }] }
    return (await client.responses.create(asked)).output_text
  },

  streaming: async () => {
    let text = ''
    for await (const event of await client.responses.create({ model, input, stream: true }))
      if (event.type === 'response.output_text.delta') text += event.delta
    return text
  },

  'the stream helper': async () => {
    const stream = client.responses.stream({ model, input })
    return (await stream.finalResponse()).output_text
  },

  errors: async () => {
    const error = await client.responses.create({ model: 'nope', input }).catch((error) => error)
    assert(error instanceof OpenAI.NotFoundError)
    assert.equal(error.code, 'model_not_found')
    return ''
  },

  timeouts: async () => {
    const error = await client
      .withOptions({ baseURL: `${silent}/v1` })
      .responses.create({ model, input }, { timeout: 100 })
      .catch((error) => error)
    assert(error instanceof OpenAI.APIConnectionTimeoutError)
    return ''
  },

  'request ids': async () => {
    const response = await client.responses.create({ model, input })
    assert.match(response._request_id, /^req-/)
    const { request_id } = await client.responses
      .create({ model, input, stream: true })
      .withResponse()
    assert.match(request_id, /^req-/)
    return response.output_text
  },

  pagination: async () => {
    const names = []
    for await (const one of client.models.list()) names.push(one.id)
    assert.deepEqual(names, ['default', model])
    return ''
  },

  'raw responses': async () => {
    const raw = await client.responses.create({ model, input }).asResponse()
    assert.equal(raw.headers.get('x-headway-backend'), 'b0')
    const { data } = await client.responses.create({ model, input }).withResponse()
    return data.output_text
  },

  'undocumented requests': async () => {
    const error = await client.post('/some/path', { body: {} }).catch((error) => error)
    assert.equal(error.status, 404)
    return ''
  },

  'a message': async () => (await claude.messages.create(hello)).content[0].text,

  'a streamed message': async () => {
    const message = await claude.messages.stream(hello).finalMessage()
    assert.equal(message.usage.output_tokens, 100)
    return message.content[0].text
  },

  'errors of messages': async () => {
    const error = await claude.messages
      .create({ ...hello, model: 'nope' })
      .catch((error) => error)
    assert(error instanceof Anthropic.NotFoundError)
    return ''
  },

  'models in the shape of messages': async () => {
    const names = []
    for await (const one of claude.models.list()) names.push(one.id)
    assert.deepEqual(names, ['default', model])
    return ''
  },
}

for (const [name, example] of Object.entries(examples)) {
  try {
    console.log(JSON.stringify({ name, text: await example() }))
  } catch (error) {
    console.log(JSON.stringify({ name, error: String(error) }))
  }
}
