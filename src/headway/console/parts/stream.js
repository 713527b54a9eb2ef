// @ts-check
// An answer that comes as server-sent events.

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
