// @ts-check
// What the page shows is in its address, so that it can be kept and sent.

/** @param {string} name of a prompt @param {Record<string, string>} [rest] @returns {string} */
export function promptAddress(name, rest = {}) {
  return `#/prompts?${new URLSearchParams({ name, ...rest })}`
}

/** @param {any} entry a prompt @param {number} version @returns {string} `2 (production)` */
export function versionName(entry, version) {
  const aliases = aliasesOf(entry, version)
  return aliases.length ? `${version} (${aliases.join(', ')})` : `${version}`
}

/** @param {any} entry @param {number} version @returns {string[]} */
export function aliasesOf(entry, version) {
  return Object.keys(entry.aliases).filter(alias => entry.aliases[alias] === version)
}
