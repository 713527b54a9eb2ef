// What the three shapes share: requests to Headway, and a metric for the time to first token.

import http from "k6/http";
import { check } from "k6";
import { Trend } from "k6/metrics";

const HOST = __ENV.HOST || "http://127.0.0.1:8080";
const MODEL = __ENV.MODEL || "default";
const KEY = __ENV.HEADWAY_API_KEY;
const PROMPTS = [
  "Name three uses of a paper clip.",
  "Why is the sky blue? Answer in one sentence.",
  "Write a haiku about queues.",
  "Summarise the story of the tortoise and the hare.",
  "What is 17 times 23?",
  "Translate to French: where is the station?",
];
/** @type {Record<string, number>} Most tokens of an answer. */
const LONGEST = { interactive: 64, standard: 128, batch: 200 };

/** Time to first token, in ms, with the tag `tier`. */
export const ttft = new Trend("ttft", true);

/**
 * Limits on p99 by tier, in ms: of the time to first token, for `batch` of the whole request.
 *
 * @param {string[]} tiers
 */
export function thresholds(tiers) {
  /** @type {Record<string, string[]>} */
  const limits = { checks: ["rate==1"] };
  /** @type {Record<string, number>} */
  const defaults = { interactive: 1000, standard: 5000, batch: 600000 };
  for (const tier of tiers) {
    const limit = __ENV[`P99_${tier.toUpperCase()}`] || defaults[tier];
    const metric = tier === "batch" ? "http_req_duration" : "ttft";
    limits[`${metric}{tier:${tier}}`] = [`p(99)<=${limit}`];
  }
  return limits;
}

/**
 * Headers of every request, with others.
 *
 * @param {Record<string, string>} [others]
 * @returns {Record<string, string>}
 */
export function headers(others) {
  return Object.assign(KEY ? { Authorization: `Bearer ${KEY}` } : {}, others);
}

/** @param {string} path */
export function url(path) {
  return HOST + path;
}

/**
 * The body of a chat of that tier.
 *
 * @param {string} tier
 */
export function body(tier) {
  const prompt = PROMPTS[Math.floor(Math.random() * PROMPTS.length)];
  return { model: MODEL, messages: [{ role: "user", content: prompt }], max_tokens: LONGEST[tier] };
}

/**
 * One streamed chat of that tier.
 *
 * @param {string} tier
 */
export function chat(tier) {
  const stream = { stream: true, stream_options: { include_usage: true } };
  const response = http.post(
    url("/v1/chat/completions"),
    JSON.stringify(Object.assign(body(tier), stream)),
    {
      headers: headers({ "Content-Type": "application/json", "x-headway-tier": tier }),
      tags: { tier: tier, name: "chat" },
      timeout: "600s",
    },
  );
  const text = typeof response.body === "string" ? response.body : "";
  const whole = check(
    response,
    { "the whole answer came": (r) => r.status === 200 && text.includes("data: [DONE]") },
    { tier: tier },
  );
  if (whole) {
    ttft.add(firstToken(text, response.timings.waiting), { tier: tier });
  }
}

/**
 * k6 reads a stream as one body, so it sees when the first byte came. That is the first token,
 * unless the answer was so late that a comment kept the connection alive; Headway measures it, too,
 * and says so in the usage at the end of the stream.
 *
 * @param {string} text
 * @param {number} firstByteMs
 */
function firstToken(text, firstByteMs) {
  const found = /"ttft_ms":\s*([0-9.]+)/.exec(text);
  return found ? Math.max(firstByteMs, Number(found[1])) : firstByteMs;
}
