"""Makes `src/headway/console/vendor`: the libraries of the console's pages, as one ES module.

    python -m training.libraries

It needs `npm`, and fetches exactly the versions below from its registry. Pages import from the
module; nobody who uses or changes the console needs npm.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src" / "headway" / "console" / "vendor"
LIBRARIES = {
    "preact": "11.2.0",
    "@preact/signals": "2.11.4",
    "@preact/signals-core": "1.14.5",
    "htm": "3.1.1",
    "uplot": "1.6.32",
}
ESBUILD = "0.28.2"
ENTRY = """
import { h } from 'preact'
import htm from 'htm'
export { render, Fragment, createContext } from 'preact'
export {
  useEffect, useLayoutEffect, useMemo, useRef, useState, useCallback, useContext, useId
} from 'preact/hooks'
export { signal, computed, effect, batch, useSignal, useComputed } from '@preact/signals'
export { default as uPlot } from 'uplot'
export const html = htm.bind(h)
"""


def make(folder: Path) -> None:
    """Fetch the libraries into `folder`, and write the module, its styles and the licences."""
    wanted = {"private": True, "dependencies": {**LIBRARIES, "esbuild": ESBUILD}}
    (folder / "package.json").write_text(json.dumps(wanted))
    (folder / "entry.js").write_text(ENTRY)
    _run(folder, "npm", "install", "--no-audit", "--no-fund")
    _run(
        folder, "node_modules/.bin/esbuild", "entry.js", "--bundle", "--minify", "--format=esm",
        "--target=es2022", "--legal-comments=none", f"--outfile={VENDOR / 'libraries.js'}",
    )  # fmt: skip
    modules = folder / "node_modules"
    styles = (modules / "uplot" / "dist" / "uPlot.min.css").read_text()
    (VENDOR / "libraries.css").write_text(styles.strip() + "\n")
    licences = [
        f"{name} {version}\n\n{(modules / name / 'LICENSE').read_text().strip()}\n"
        for name, version in LIBRARIES.items()
    ]
    (VENDOR / "LICENSES.txt").write_text(f"\n{'-' * 80}\n\n".join(licences))


def _run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch))
