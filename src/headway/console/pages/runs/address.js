// @ts-check
// Where runs are: in the console, and at the gateway.

/** @param {string} worker @param {Record<string, string>} [more] empty ones are left out */
export function runsAddress(worker, more = {}) {
  const given = Object.entries({ worker, ...more }).filter(([, value]) => value !== '')
  return `#/runs?${new URLSearchParams(given)}`
}

/** The path of what a worker knows. @param {string} worker @param {string[]} rest */
export function workerPath(worker, ...rest) {
  return ['v1/headway/workers', ...[worker, ...rest].map(encodeURIComponent)].join('/')
}
