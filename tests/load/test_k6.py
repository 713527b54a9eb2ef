"""k6's scripts, checked against its types: k6 itself is not run here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from tests.npm import fetched

SCRIPTS = Path(__file__).parents[2] / "examples/load/k6"
OPTIONS = {
    "allowJs": True,
    "checkJs": True,
    "strict": True,
    "noEmit": True,
    "module": "esnext",
    "moduleResolution": "bundler",
    "target": "es2022",
    "lib": ["es2022"],
    "types": ["k6"],
}


def test_every_script_fits_the_types_of_k6(tmp_path: Path) -> None:
    folder = fetched(Path(__file__).parent / "package.json")
    (tmp_path / "node_modules").symlink_to(folder / "node_modules")
    shutil.copytree(SCRIPTS, tmp_path / "k6")
    config = {"compilerOptions": OPTIONS, "include": ["k6"]}
    (tmp_path / "tsconfig.json").write_text(json.dumps(config))
    check = ["node", str(folder / "node_modules/typescript/bin/tsc"), "-p", str(tmp_path)]
    done = subprocess.run(check, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout


def test_every_shape_has_a_limit_on_p99() -> None:
    for shape in ("interactive", "mixed", "batch"):
        assert "thresholds" in (SCRIPTS / f"{shape}.js").read_text()
