"""The page at `/docs`: the OpenAPI document, with curl commands, to read and to try.

It is Swagger UI 5.35.0 (https://github.com/swagger-api/swagger-ui, Apache-2.0), whose two files
are in `swagger_ui/` as npm's `swagger-ui-dist` has them, compressed. Nothing is loaded from
elsewhere, and a key that its reader types is forgotten with the tab.
"""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from headway.gateway.api.answer import answer
from headway.gateway.routes.openapi import document

FOLDER = Path(__file__).with_name("swagger_ui")


@cache
def asset(name: str) -> bytes:
    """A file of Swagger UI, compressed by gzip."""
    return (FOLDER / f"{name}.gz").read_bytes()


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Headway API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>
body { margin: 0 }
.swagger-ui .info { margin: 24px 0 }
.swagger-ui .wrapper { padding: 0 12px }
.swagger-ui .response-col_links { display: none }
.swagger-ui .opblock .opblock-summary-path { max-width: none }
@media (max-width: 640px) {
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap }
  .swagger-ui .opblock .opblock-summary-description { flex-basis: 100%; padding: 4px 8px }
  .swagger-ui .opblock .opblock-summary-path { font-size: 14px; word-break: break-all }
  .swagger-ui .opblock-tag { flex-wrap: wrap; font-size: 20px }
  .swagger-ui .opblock-tag small { flex-basis: 100%; padding: 0 }
  .swagger-ui .opblock-body pre.microlight, .swagger-ui .markdown pre { overflow-x: auto }
}
</style></head>
<body><div id="page"></div>
<noscript>This page needs JavaScript; <a href="openapi.json">the document itself</a>.</noscript>
<script src="docs/swagger-ui-bundle.js"></script>
<script>
const dark = matchMedia('(prefers-color-scheme: dark)')
const shade = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', shade)
shade()
const base = location.origin + location.pathname.replace(/\\/docs$/, '')
fetch('openapi.json').then(answer => answer.text()).then(text => {
  const spec = JSON.parse(text.replaceAll('http://127.0.0.1:8080', base))
  spec.servers = [{ url: base }]
  SwaggerUIBundle({
    spec, dom_id: '#page', deepLinking: true, docExpansion: 'list',
    defaultModelsExpandDepth: 0, displayRequestDuration: true, tryItOutEnabled: true,
    validatorUrl: null
  })
})
</script></body></html>
"""


class DocsRoutes:
    """Handlers of the page, its files and the document."""

    def __init__(self) -> None:
        self._document = msgspec.json.encode(document())

    def handlers(self) -> dict[str, Handler]:
        """The handlers, by their names in the table of routes."""
        return {
            "openapi": self._openapi,
            "docs": self._docs,
            "docs_style": partial(self._asset, "swagger-ui.css", "text/css"),
            "docs_script": partial(self._asset, "swagger-ui-bundle.js", "text/javascript"),
        }

    async def _openapi(self, request: web.Request) -> web.Response:
        return answer(self._document)

    async def _docs(self, request: web.Request) -> web.Response:
        return answer(PAGE.encode(), content_type="text/html; charset=utf-8")

    async def _asset(self, name: str, kind: str, request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "Cache-Control": "max-age=3600"}
        return answer(asset(name), headers=headers, content_type=f"{kind}; charset=utf-8")
