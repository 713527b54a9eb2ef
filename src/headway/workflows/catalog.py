"""The workflows that this process has: those of its files, and older ones that runs began with."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.extras import install_extra
from headway.workflows.definition import Source, Workflow
from headway.workflows.errors import WorkflowError
from headway.workflows.graph import Planned
from headway.workflows.journal.journal import Journal
from headway.workflows.journal.rows import Definition, RunRow

Any_ = Workflow[..., Any]
YAML = (".yaml", ".yml")
OF_EXTRA = ("cloudevents", "cronsim", "jinja2", "jsonschema", "watchfiles")
"""Modules that pipelines and triggers need, and Headway itself does not."""


class Catalog:
    """Finds the definition of a run.

    Args:
        workflows: the current ones.

    Raises:
        WorkflowError: two have the same name.
    """

    def __init__(self, workflows: Iterable[Any_] = ()) -> None:
        self._current: dict[str, Any_] = {}
        self._by_hash: dict[str, Any_] = {}
        for workflow in workflows:
            known = self._current.get(workflow.name)
            if known is not None and known.hash != workflow.hash:
                raise WorkflowError(
                    f"two workflows are called {workflow.name}: in {known.source.file} and in "
                    f"{workflow.source.file}; give one of them @workflow(name=…)"
                )
            self._current[workflow.name] = workflow
            self.keep(workflow)

    def __iter__(self) -> Any:
        return iter(self._current.values())

    def keep(self, workflow: Any_) -> None:
        """Know a workflow that another one calls."""
        self._by_hash[workflow.hash] = workflow

    def named(self, name: str) -> Any_:
        """The current workflow of this name. Raises WorkflowError, which lists them."""
        try:
            return self._current[name]
        except KeyError:
            known = ", ".join(sorted(self._current)) or "none"
            raise WorkflowError(f"there is no workflow {name}; there are: {known}") from None

    @staticmethod
    def definition(workflow: Any_) -> Definition:
        """What the journal keeps of a workflow."""
        source = workflow.source
        return Definition(workflow.hash, workflow.name, source.file, source.text, time.time())

    async def plan_of(self, run: RunRow, journal: Journal) -> Mapping[str, Planned]:
        """The tasks that the workflow of a run states; empty: none, or its file is no more."""
        known = self._by_hash.get(run.definition)
        if known is not None:
            return known.plan
        kept = await journal.definition(run.definition)
        if kept is None or Path(kept.file).suffix not in YAML:
            return {}  # no Python is executed to look at a run
        try:
            return loaded(Path(kept.file), kept.source)[0].plan
        except WorkflowError:
            return {}

    async def of(self, run: RunRow, journal: Journal) -> Any_:
        """The workflow that a run began with, from its kept source if its file has changed.

        Raises:
            WorkflowError: the kept source does not load any more; says why.
        """
        known = self._by_hash.get(run.definition)
        if known is not None:
            return known
        kept = await journal.definition(run.definition)
        if kept is None or not kept.file:
            raise WorkflowError(
                f"{run.workflow} has changed since the run began, and its old source was not "
                f"kept; `headway runs retry {run.id} --on-new` continues on the new one"
            )
        try:
            found = loaded(Path(kept.file), kept.source)
        except Exception as error:
            raise WorkflowError(
                f"{run.workflow} has changed since the run began, and its old source does not "
                f"load any more ({type(error).__name__}: {error}); `headway runs retry {run.id} "
                "--on-new` continues on the new one"
            ) from error
        for workflow in found:
            self.keep(workflow)
        if run.definition not in self._by_hash:
            raise WorkflowError(f"the kept source of {run.workflow} does not define it")
        return self._by_hash[run.definition]


def load(file: Path) -> list[Any_]:
    """The workflows that a file defines: a Python file, or a pipeline in YAML.

    Raises:
        WorkflowError: it cannot be read, is wrong, or has none.
    """
    try:
        source = file.read_text(encoding="utf-8")
    except OSError as error:
        raise WorkflowError(f"{file} cannot be read: {error.strerror}; check the path") from None
    except UnicodeDecodeError:
        raise WorkflowError(f"{file} is no text in UTF-8; name a .py or .yaml file") from None
    try:
        found = loaded(file.resolve(), source)
    except WorkflowError:
        raise
    except ModuleNotFoundError as error:
        if error.name not in OF_EXTRA:
            raise WorkflowError(f"{file} does not load: {error}") from error
        raise WorkflowError(f"{file} needs {error.name}: {install_extra('workflows')}") from None
    except Exception as error:
        raise WorkflowError(f"{file} does not load: {type(error).__name__}: {error}") from error
    if not found:
        raise WorkflowError(f"{file} defines no workflow: decorate one with @headway.workflow")
    return found


def loaded(file: Path, source: str) -> list[Any_]:
    """The workflows that `source` defines, as if it were in `file`, and those that it imports.

    Raises:
        Exception: what its code raises.
    """
    if file.suffix in YAML:
        from headway.workflows.declared.compiling import compiled

        return [compiled(file, source)]
    module = module_of(file, source)
    found = [one for one in vars(module).values() if isinstance(one, Workflow)]
    for workflow in found:
        if workflow.function.__module__ == module.__name__:
            workflow.source = Source(str(file), source)
    return found


def module_of(file: Path, source: str) -> ModuleType:
    """A module made of `source`, as if it were in `file`.

    Raises:
        WorkflowError: its code ends the program.
        Exception: what its code raises.
    """
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # The same name in every process, so that exceptions of its classes can be made again.
    name = f"{file.stem}__{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_loader(name, loader=None, origin=str(file))
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(file)
    sys.modules[name] = module
    try:
        exec(compile(source, str(file), "exec", dont_inherit=True), module.__dict__)
    except SystemExit as error:
        raise WorkflowError(
            f"{file} ends the program as it is loaded, with status {error.code}: put what does so "
            "under `if __name__ == '__main__':`"
        ) from error
    return module
