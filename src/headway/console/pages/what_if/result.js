// @ts-check
// The answer first, the evidence under it.

import { html } from '../../vendor/libraries.js'
import { mayOperate, switchPolicy } from '../../parts/actions.js'
import { Copy } from '../../parts/copy.js'
import { count, seconds } from '../../parts/format.js'

const REPORT = 'console/api/what-if/report'

/** @param {{number: number, found: any, automatic: boolean}} props see Answer in lab/simulation/what_if/answer.py */
export function Result({ number, found, automatic }) {
  const [first, ...others] = found.answer
  const report = `${REPORT}?number=${number}`
  return html`<section class="answer" aria-label="Answer">
      <div role="status"><p class="lead">${first}</p>${others.map((/** @type {string} */ one) => html`<p>${withCode(one)}</p>`)}</div>
      ${found.doubts.map((/** @type {string} */ one) => html`<p class="doubt">${one}</p>`)}
      <p class="row">
        ${found.policy && mayOperate() && !automatic && html`
          <button class="main" onClick=${() => switchPolicy(found.now, found.policy)}>Switch to ${found.policy}</button>`}
        <a class="button" href=${report} target="_blank" rel="noopener">Open the report</a>
        <a class="button" href=${`${report}&download`}>Download it</a></p>
      ${found.policy && automatic && html`<p class="soft small">The gateway chooses its policy by itself, so nobody switches it here.</p>`}
      ${found.serve && html`<${Command} title="To serve so" text=${found.serve}/>`}
    </section>
    <section aria-label="Evidence"><h2>Evidence</h2><${Table} ...${found.table}/></section>
    <div class="pair">
      ${found.groups.length > 0 && html`<section aria-label="Who gains and who loses"><h2>Who gains and who loses</h2>
        <${Groups} groups=${found.groups}/></section>`}
      <section aria-label="What it rests on"><h2>What it rests on</h2>
        <ul class="notes">${found.notes.map((/** @type {string} */ one) => html`<li>${withCode(one)}</li>`)}</ul></section>
    </div>
    <section aria-label="For a shell"><${Command} title="The same for a shell" text=${found.command}/>
      ${found.command.includes(' --last ') && html`<p class="soft small">There, what still waits or runs is not part of the
        traffic, engines keep the speed that single answers show, and the scheduler has its default bounds.</p>`}</section>`
}

/** What is to be typed is not broken. @param {string} sentence */
function withCode(sentence) {
  return sentence.split(/`([^`]+)`|(--[a-z][a-z-]*(?: [\d.]+)?)/).map((part, place) =>
    place % 3 === 0 ? part : part && html`<code>${part}</code>`)
}

/** @param {{title: string, text: string}} props */
function Command({ title, text }) {
  return html`<div class="row head command"><h3>${title}</h3><span class="space"></span><${Copy} text=${text}/></div>
    <pre tabindex="0" aria-label=${title}>${text}</pre>`
}

/** @param {string} label of a row @returns {string} the class of its colour */
function colourOf(label) {
  return `c-${label.includes('+oracle') ? 'oracle' : label.split(/[+,]/)[0]}`
}

/** @param {string} heading of a terminal's table */
function whole(heading) {
  return heading.replace('- ', '').replace(' /', '/')
}

/** @param {{headings: string[], rows: string[][], meanings: Record<string, string>, marks: Record<string, string>}} props */
function Table({ headings, rows, meanings, marks }) {
  const known = headings.filter(heading => meanings[heading])
  return html`<div class="wide" tabindex="0" role="region" aria-label="Evidence, a table"><table class="evidence">
      <thead><tr>${headings.map(heading => html`<th scope="col">${whole(heading)}</th>`)}</tr></thead>
      <tbody>${rows.map(([label, ...cells]) => html`<tr class=${marks[label] ? 'marked' : ''}>
        <th scope="row"><i class=${`dot ${colourOf(label)}`}></i><bdi>${label}</bdi>${marks[label] && html` <small class="mark">${marks[label]}</small>`}</th>
        ${cells.map(cell => html`<td>${cell}</td>`)}</tr>`)}</tbody></table></div>
    ${known.length > 0 && html`<details class="terms"><summary>What the columns mean</summary>
      <dl class="facts">${known.map(heading => html`<dt>${whole(heading)}</dt><dd>${meanings[heading]}</dd>`)}</dl></details>`}`
}

/** @param {{groups: {who: string, requests: number, now_s: number, then_s: number, change: number, verdict: string}[]}} props */
function Groups({ groups }) {
  return html`<div class="wide" tabindex="0" role="region" aria-label="Who gains and who loses, a table"><table class="groups">
    <thead><tr><th scope="col">Requests</th><th scope="col">Number</th><th scope="col">Mean latency now</th><th scope="col">Then</th><th scope="col">Change</th></tr></thead>
    <tbody>${groups.map(({ who, requests, now_s: now, then_s: then, change, verdict }) =>
      html`<tr><th scope="row"><bdi>${who}</bdi></th><td>${count(requests)}</td><td>${seconds(now)}</td><td>${seconds(then)}</td>
        <td class=${verdict}>${signed(Math.round(100 * change))}</td></tr>`)}</tbody></table></div>`
}

/** @param {number} percent */
function signed(percent) {
  return `${percent > 0 ? '+' : percent < 0 ? '−' : ''}${Math.abs(percent)}%`
}
