// @ts-check
// An answer that comes as server-sent events.

/**
 * The events of a streamed answer as they come. Throws the error that one of them says.
 * @param {Response} answer
 * @returns {AsyncGenerator<any>}
 */
export async function* eventsOf(answer) {
  for await (const line of linesOf(answer)) {
    const event = eventIn(line)
    if (event !== null) yield event
  }
}

/**
 * What a line of a stream says. Throws it if that is an error.
 * @param {string} line
 * @returns {any} null: no event, as a comment is, or the mark of the end
 */
export function eventIn(line) {
  const data = line.startsWith('data:') ? line.slice(5).trim() : '[DONE]'
  if (data === '[DONE]') return null
  const event = JSON.parse(data)
  if (event.error) throw new Error(event.error.message)
  return event
}

/**
 * The lines of a streamed answer as they come.
 * @param {Response} answer
 * @returns {AsyncGenerator<string>}
 */
export async function* linesOf(answer) {
  const reader = /** @type {ReadableStream<any>} */ (answer.body)
    .pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { value, done } = await reader.read()
    if (done) return
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield line.trimEnd()
  }
}
