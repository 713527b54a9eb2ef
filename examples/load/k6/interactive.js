// People who chat: a request, then some seconds of reading.
//
//   k6 run examples/load/k6/interactive.js

import { sleep } from "k6";
import { chat, thresholds } from "./headway.js";

export const options = {
  scenarios: {
    chat: { executor: "constant-vus", vus: 8, duration: "60s", gracefulStop: "60s" },
  },
  thresholds: thresholds(["interactive"]),
};

export default function () {
  chat("interactive");
  sleep(1 + 2 * Math.random());
}
