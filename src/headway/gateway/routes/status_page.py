"""The page at `/`: backends and queue, as `/v1/headway/queue` shows them.

It is the same for everybody, so it needs no key; what it shows it asks for with the key that its
reader types, which it forgets with the tab.
"""

from __future__ import annotations

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Headway</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } div { overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0;
  border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums }
.down { color: #b00020 } [hidden] { display: none }
@media (prefers-color-scheme: dark) { body { background: #161616; color: #ddd }
  a { color: #8ab4f8 } th, td { border-color: #444 } .down { color: #ff8a80 } }
</style>
<h1>Headway</h1>
<p id="summary" aria-live="polite">Asking the gateway …</p>
<form hidden><label>API key <input type="password" autocomplete="off" required></label>
<button>Show</button></form>
<h2>Backends</h2><div><table id="backends"></table></div>
<h2>Requests</h2><div><table id="requests"></table></div>
<p id="others"></p>
<p><a href="console">Console</a> · <a href="docs">API</a> · <a href="metrics">metrics</a> ·
<a href="v1/headway/queue">queue as JSON</a></p>
<noscript>This page needs JavaScript; <a href="v1/headway/queue">the same as JSON</a>.</noscript>
<script>
const EVERY_MS = 2000, MOST = 100
const $ = selector => document.querySelector(selector)
let key = ''

function fill(table, heads, rows) {
  const head = document.createElement('tr')
  heads.forEach(name => head.append(cell('th', name)))
  table.replaceChildren(head, ...rows.map(row => {
    const line = document.createElement('tr')
    row.forEach(value => line.append(cell('td', value)))
    return line
  }))
}

function cell(tag, value) {
  const one = document.createElement(tag)
  one.textContent = value ?? ''
  if (String(value).startsWith('down')) one.className = 'down'
  return one
}

function show(view) {
  const up = view.backends.filter(one => one.healthy).length
  const running = view.backends.reduce((sum, one) => sum + one.running, 0)
  $('#summary').textContent = `${up} of ${view.backends.length} backends are up. ` +
    `Requests running: ${running}, waiting: ${view.waiting} (${view.backlog_s} s of work). ` +
    `Policy: ${view.policy}.`
  fill($('#backends'), ['backend', 'state', 'running', 'slots', 'models'],
    view.backends.map(one => [one.name,
      one.healthy ? 'up' : one.starting ? 'starting' : `down: ${one.error ?? ''}`,
      one.running, one.slots, one.models.join(', ')]))
  fill($('#requests'), ['state', 'tier', 'tenant', 'model', 'backend', 'age in s',
    'tokens', 'predicted', 'why'],
    view.requests.map(one => [one.state, one.tier, one.tenant, one.model, one.backend,
      one.age_s, one.output_tokens, one.predicted_tokens, one.why]))
  const { running: others, waiting } = view.others
  $('#others').textContent = others + waiting
    ? `Of other tenants: ${others} running, ${waiting} waiting.` : ''
}

async function look() {
  if (!document.hidden) {
    try {
      const headers = key ? { authorization: `Bearer ${key}` } : {}
      const answer = await fetch(`v1/headway/queue?limit=${MOST}`, { headers })
      const body = await answer.json()
      $('form').hidden = answer.status !== 401
      if (!answer.ok) $('#summary').textContent = body.error.message
      else show(body)
      if (answer.status === 401) return
    } catch (error) {
      $('#summary').textContent = 'The gateway does not answer; trying again.'
    }
  }
  setTimeout(look, EVERY_MS)
}

$('form').addEventListener('submit', event => {
  event.preventDefault()
  key = $('input').value.trim()
  look()
})
look()
</script></html>
"""
