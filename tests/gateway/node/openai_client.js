// What OpenAI's client for Node makes of a gateway: node openai_client.js ADDRESS SCENARIO
// Prints one line of JSON.

import OpenAI from "openai";

const [address, scenario] = process.argv.slice(2);
const client = new OpenAI({ baseURL: address + "/v1", apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "Hello!" }];
const fake = { model: "fake", messages };

async function failing(asked) {
  try {
    await asked;
    return { raised: null };
  } catch (error) {
    const { status, code, param, message } = error;
    return { raised: error.constructor.name, status, code, param, message };
  }
}

const scenarios = {
  async chat() {
    const { data, response } = await client.chat.completions.create(fake).withResponse();
    const { content } = data.choices[0].message;
    return { content, usage: data.usage, backend: response.headers.get("x-headway-backend") };
  },
  async stream() {
    const options = { stream: true, stream_options: { include_usage: true } };
    const stream = await client.chat.completions.create({ ...fake, ...options });
    let content = "", usage = null, finish = null;
    for await (const chunk of stream) {
      content += chunk.choices[0]?.delta.content ?? "";
      finish = chunk.choices[0]?.finish_reason ?? finish;
      usage = chunk.usage ?? usage;
    }
    return { content, usage, finish };
  },
  async helper() {
    const runner = client.chat.completions.stream(fake);
    let deltas = 0;
    runner.on("content", () => deltas++);
    return { content: await runner.finalContent(), deltas };
  },
  async completion() {
    const answer = await client.completions.create({ model: "fake", prompt: "Once" });
    return { content: answer.choices[0].text };
  },
  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return { names, one: (await client.models.retrieve("fake")).id };
  },
  async embeddings() {
    // The client asks for base64 and decodes it, unless it is told otherwise.
    const input = ["a cat", "is"];
    const given = await client.embeddings.create({ model: "text", input });
    const floats = { model: "text", input, encoding_format: "float" };
    const asked = await client.embeddings.create(floats);
    const vectors = (answer) => answer.data.map((one) => Array.from(one.embedding));
    return { given: vectors(given), asked: vectors(asked) };
  },
  async errors() {
    return {
      model: await failing(client.chat.completions.create({ ...fake, model: "nope" })),
      field: await failing(client.chat.completions.create({ ...fake, max_tokens: "many" })),
      path: await failing(client.fineTuning.jobs.list()),
      stream: await failing(client.chat.completions.create({ ...fake, model: "x", stream: true })),
    };
  },
  async broken() {
    // The backend breaks in the middle of the stream.
    let content = "";
    const reading = async () => {
      const stream = await client.chat.completions.create({ ...fake, stream: true });
      for await (const chunk of stream) content += chunk.choices[0]?.delta.content ?? "";
    };
    return { ...(await failing(reading())), content };
  },
  async abort() {
    const stream = await client.chat.completions.create({ ...fake, stream: true });
    let chunks = 0;
    for await (const _ of stream) if (++chunks === 3) stream.controller.abort();
    return { chunks };
  },
  async timeout() {
    return failing(client.chat.completions.create(fake, { timeout: 300 }));
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
process.exit(0);
