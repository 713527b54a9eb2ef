// A file of requests by the Batch API, beside people who chat.
//
//   k6 run examples/load/k6/batch.js        LINES=50: lines of the file

import http from "k6/http";
import { check, sleep } from "k6";
import { Trend } from "k6/metrics";
import { body, chat, headers, thresholds, url } from "./headway.js";

const LINES = Number(__ENV.LINES || 50);
const OVER = ["completed", "failed", "expired", "cancelled"];

/** Time of a whole batch, in ms. */
const batchTime = new Trend("batch_time", true);

export const options = {
  scenarios: {
    batch: { executor: "per-vu-iterations", exec: "batch", vus: 1, iterations: 1, maxDuration: "30m" },
    chat: { executor: "constant-vus", exec: "ask", vus: 4, duration: "60s", gracefulStop: "60s" },
  },
  thresholds: Object.assign(thresholds(["interactive"]), {
    batch_time: [`p(99)<=${__ENV.P99_BATCH || 600000}`],
  }),
};

export function ask() {
  chat("interactive");
  sleep(1 + 2 * Math.random());
}

export function batch() {
  const began = Date.now();
  const lines = [];
  for (let number = 0; number < LINES; number++) {
    lines.push(
      JSON.stringify({
        custom_id: `line-${number}`,
        method: "POST",
        url: "/v1/chat/completions",
        body: body("batch"),
      }),
    );
  }
  const file = http.post(
    url("/v1/files"),
    { purpose: "batch", file: http.file(lines.join("\n"), "in.jsonl", "application/jsonl") },
    { headers: headers(), tags: { name: "upload" } },
  );
  const asked = {
    input_file_id: file.json("id"),
    endpoint: "/v1/chat/completions",
    completion_window: "24h",
  };
  let answer = http.post(url("/v1/batches"), JSON.stringify(asked), {
    headers: headers({ "Content-Type": "application/json" }),
    tags: { name: "create" },
  });
  while (answer.status === 200 && !OVER.includes(String(answer.json("status")))) {
    sleep(0.5);
    answer = http.get(url(`/v1/batches/${answer.json("id")}`), {
      headers: headers(),
      tags: { name: "status" },
    });
  }
  check(answer, {
    "every line is answered": (r) =>
      r.status === 200 && r.json("status") === "completed" && r.json("request_counts.failed") === 0,
  });
  batchTime.add(Date.now() - began);
}
