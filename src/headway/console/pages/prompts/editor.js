// @ts-check
// Writes the plain files: versions of a prompt, and its test cases.

import { html, useEffect, useMemo, useRef, useState } from '../../vendor/libraries.js'
import { mayOperate } from '../../parts/actions.js'
import { Diff, diff, summary } from '../../parts/diff.js'
import { say } from '../../parts/dialog.js'
import { ask } from '../../parts/session.js'
import { promptAddress } from './place.js'

const FIRST = `---
description: Greets somebody.
variables:
  name: {description: Who is greeted.}
---
--- system
You are friendly and brief.

--- user
Greet {{ name }}.
`

/**
 * A text that may be another on disk by now.
 * @param {{text: string, sha256: string} | null} onDisk null: there is no such file yet
 * @param {string} first to begin with where there is no file
 */
function useDraft(onDisk, first) {
  const [text, setText] = useState(onDisk?.text ?? first)
  const [seen, setSeen] = useState(onDisk)
  const stale = onDisk?.sha256 !== seen?.sha256
  useEffect(() => { if (stale && onDisk && ended(onDisk.text) === ended(text)) setSeen(onDisk) }, [onDisk])
  return {
    text, setText, seen,
    stale: stale && onDisk !== null && ended(onDisk.text) !== ended(text),
    changed: seen !== null && ended(seen.text) !== ended(text),
    /** Go on with the text on disk. */
    takeTheirs() { setText(onDisk?.text ?? first); setSeen(onDisk) },
    /** Go on with this text, to be saved over theirs. */
    keepMine() { setSeen(onDisk) }
  }
}

/** @param {string} text */
function ended(text) {
  return text.endsWith('\n') ? text : `${text}\n`
}

/** @param {{label: string, draft: ReturnType<typeof useDraft>, rows: number, error: string}} props */
function Text({ label, draft, rows, error }) {
  const { text, setText, seen, stale, changed } = draft
  const changes = useMemo(() => changed ? diff(seen?.text ?? '', text) : [], [seen, text])
  return html`
    ${stale && html`<div class="strip bad" role="alert">Somebody else changed this file meanwhile.
      <button class="quiet" onClick=${draft.takeTheirs}>Take theirs</button> <button class="quiet" onClick=${draft.keepMine}>Keep mine</button></div>`}
    <textarea class="file" aria-label=${label} rows=${rows} spellcheck=${false} dir="auto" readonly=${!mayOperate()} value=${text}
      onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
    ${error && html`<p class="error" role="alert">${error}</p>`}
    ${changed && html`<details><summary>Not saved yet: ${summary(changes)}</summary><${Diff} rows=${changes} label="Not saved yet"/></details>`}`
}

/**
 * Saves, and says what went wrong.
 * @param {() => void} onSaved what is on disk is another now
 */
function useSaving(onSaved) {
  const [error, setError] = useState('')
  return {
    error,
    /** @param {string} path @param {{text: string, instead_of: string | null}} change @returns {Promise<boolean>} */
    async save(path, change) {
      try {
        say((await ask(`v1/headway/prompts/${path}`, { json: change })).done)
        setError('')
      } catch (failure) {
        setError(/** @type {Error} */ (failure).message)
        onSaved()
        return false
      }
      onSaved()
      return true
    }
  }
}

/** One version, or a new one. @param {{entry: any, files: any, open: string, onSaved: () => void}} props */
export function Editor({ entry, files, open, onSaved }) {
  const versions = files.versions
  const newest = versions[versions.length - 1]
  const one = versions.find((/** @type {any} */ version) => `${version.version}` === open) ?? null
  const draft = useDraft(one, newest?.text ?? FIRST)
  const { error, save } = useSaving(onSaved)
  const published = entry.versions.find((/** @type {any} */ version) => version.version === one?.version)?.published ?? false
  const next = (newest?.version ?? 0) + 1
  const name = encodeURIComponent(entry.name)
  async function saveNew() {
    if (await save(`${name}/versions/${next}`, { text: draft.text, instead_of: null })) {
      location.hash = promptAddress(entry.name, { open: `${next}` })
    }
  }
  const box = useRef(/** @type {HTMLElement | null} */ (null))
  useEffect(() => box.current?.scrollIntoView(), [])
  return html`<section class="opened" ref=${box} aria-label=${one ? `Version ${one.version}` : 'New version'}>
    <div class="row head"><h2>${one ? `Version ${one.version}` : `Version ${next}, new`}</h2>
      <span class="soft">${one === null ? `begins as version ${newest?.version}` : published ? 'published, so a change is a new version' : 'a draft'}</span>
      <span class="space"></span><a href=${promptAddress(entry.name)}>Close</a></div>
    ${one?.problem && html`<p class="error">${one.problem}</p>`}
    <${Text} label="Text of the prompt" draft=${draft} rows=${16} error=${error}/>
    ${mayOperate() && html`<p class="row end">
      ${one && !published && html`<button class="main" disabled=${!draft.changed || draft.stale}
        onClick=${() => save(`${name}/versions/${one.version}`, { text: draft.text, instead_of: draft.seen?.sha256 ?? null })}>Save version ${one.version}</button>`}
      <button class=${one && !published ? '' : 'main'} onClick=${saveNew}>Save as version ${next}</button></p>`}
  </section>`
}

/** The test cases. @param {{entry: any, files: any, onSaved: () => void}} props */
export function Cases({ entry, files, onSaved }) {
  const draft = useDraft(files.cases, firstCases(entry))
  const { error, save } = useSaving(onSaved)
  const path = `${encodeURIComponent(entry.name)}/cases`
  if (files.cases === null && !mayOperate()) return null
  return html`<section aria-label="Test cases"><details open=${files.cases?.problem ? true : null}>
    <summary><h2>Test cases</h2> <span class="soft">${files.cases === null ? 'none yet; write some to compare versions' : `${files.cases.names.length} in tests.yaml`}</span></summary>
    ${files.cases?.problem && html`<p class="error">${files.cases.problem}</p>`}
    <${Text} label="Text of the test cases" draft=${draft} rows=${12} error=${error}/>
    ${mayOperate() && html`<p class="row end"><button class="main" disabled=${(files.cases && !draft.changed) || draft.stale}
      onClick=${() => save(path, { text: draft.text, instead_of: draft.seen?.sha256 ?? null })}>Save the test cases</button></p>`}
  </details></section>`
}

/** @param {any} entry @returns {string} a case to begin with */
function firstCases(entry) {
  const { variables } = entry.versions.find((/** @type {any} */ one) => one.version === entry.default) ?? { variables: [] }
  const values = variables.filter((/** @type {any} */ one) => one.required)
    .map((/** @type {any} */ one) => `    ${one.name}: ${one.type === 'string' ? 'a value' : 'null'}\n`)
  return `cases:\n- name: the first case\n${values.length ? `  variables:\n${values.join('')}` : ''}  expect:\n    contains: a word of the answer\n`
}

/** @param {{onSaved: () => void}} props */
export function NewPrompt({ onSaved }) {
  const [name, setName] = useState('')
  const draft = useDraft(null, FIRST)
  const { error, save } = useSaving(onSaved)
  /** @param {Event} event */
  async function submit(event) {
    event.preventDefault()
    if (await save(`${encodeURIComponent(name)}/versions/1`, { text: draft.text, instead_of: null })) {
      location.hash = promptAddress(name, { open: '1' })
    }
  }
  return html`<p><a href="#/prompts">All prompts</a></p><h1>New prompt</h1>
    <section aria-label="New prompt"><form onSubmit=${submit}>
      <p class="row"><label for="prompt-name">Name</label><input id="prompt-name" required pattern="[A-Za-z0-9][\\w.\\-]*" maxlength="64"
        title="Letters, digits, dots, underscores and hyphens" placeholder="name-capital" value=${name}
        onInput=${(/** @type {any} */ event) => setName(event.target.value)}/></p>
      <${Text} label="Text of the prompt" draft=${draft} rows=${16} error=${error}/>
      <p class="row end"><button class="main">Save as version 1</button></p>
    </form></section>`
}
