// All three tiers on one endpoint, each as an open stream of requests: 6, 3 and 1 in 10.
//
//   k6 run examples/load/k6/mixed.js        RATE=2: requests a second, of all tiers together

import { chat, thresholds } from "./headway.js";

const RATE = Number(__ENV.RATE || 2);

/**
 * @param {string} tier
 * @param {number} share
 * @returns {import("k6/options").Scenario}
 */
function stream(tier, share) {
  return {
    executor: "constant-arrival-rate",
    exec: tier,
    rate: Math.max(1, Math.round(RATE * share * 60)),
    timeUnit: "60s",
    duration: "60s",
    preAllocatedVUs: 20,
    maxVUs: 200,
    gracefulStop: "120s",
  };
}

export const options = {
  scenarios: {
    interactive: stream("interactive", 0.6),
    standard: stream("standard", 0.3),
    batch: stream("batch", 0.1),
  },
  thresholds: thresholds(["interactive", "standard", "batch"]),
};

export function interactive() {
  chat("interactive");
}

export function standard() {
  chat("standard");
}

export function batch() {
  chat("batch");
}
