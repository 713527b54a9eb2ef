"""`@headway.workflow` and `@headway.task`: what a pipeline consists of."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Protocol, TypeVar, overload

from headway.core.request import Tier
from headway.workflows import scope
from headway.workflows.errors import WorkflowError, without_exit
from headway.workflows.threads import in_thread

if TYPE_CHECKING:
    from headway.workflows.graph import Planned

P = ParamSpec("P")
R = TypeVar("R")
Function = Callable[P, Awaitable[R] | R]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a task occupies of the worker while it runs: what does not fit together waits."""

    cpu: float = 0.0
    memory_mb: float = 0.0
    gpu: float = 0.0
    gpu_memory_mb: float = 0.0
    exclusive: frozenset[str] = frozenset()
    """Names that one task at a time may hold, such as a file, a licence or a model."""


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How a task runs, and what happens when it fails."""

    retries: int = 0
    """Further attempts after the first, on errors that another attempt may not meet."""
    timeout_s: float | None = None
    """For each attempt."""
    tier: Tier | None = None
    """None: the run's."""
    needs: Needs = field(default_factory=Needs)
    fallback: Callable[..., Any] | None = None
    """Called with the same arguments once all attempts have failed."""
    backoff_s: float = 1.0
    """Wait before the first retry; doubled by each, with jitter."""
    max_backoff_s: float = 60.0

    def __post_init__(self) -> None:
        """Raises ValueError: a number is out of range."""
        if self.retries < 0 or self.backoff_s < 0 or self.max_backoff_s < 0:
            raise ValueError("retries, backoff_s and max_backoff_s must not be negative")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ValueError(f"timeout_s is {self.timeout_s}; it must be positive")


class Task(Generic[P, R]):
    """A step of workflows: its result is kept, and it does not run again once it has one."""

    def __init__(self, function: Function[P, R], name: str, settings: TaskSettings) -> None:
        self.function = function
        self.name = name
        self.settings = settings
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Run as a step of the current run; outside of a run, just run.

        Returns:
            What to await. The step has its place in the run by the order of these calls.

        Raises:
            WorkflowError: it is called from a task of asyncio that the run does not know.
        """
        inside = scope.current()
        if inside is None:
            return called(self.function, *args, **kwargs)
        return inside.run.task(self, inside.reserve(self.name), args, kwargs)


class Workflow(Generic[P, R]):
    """A function whose runs survive crashes: it runs again, and its steps return what they had."""

    def __init__(
        self,
        function: Function[P, R],
        name: str,
        *,
        deadline_s: float | None = None,
        tier: Tier | None = None,
        triggers: Sequence[Any] = (),
        source: Source | None = None,
        plan: Mapping[str, Planned] | None = None,
    ) -> None:
        self.triggers = tuple(triggers)
        """What starts its runs: headway.workflows.triggers."""
        self.function = function
        self.name = name
        self.deadline_s = deadline_s
        self.tier = tier
        self.source = source or Source.of(function)
        self.plan = plan or {}
        """Its tasks, if it states them before it runs: only pipelines in YAML do."""
        update_wrapper(self, function)

    @property
    def hash(self) -> str:
        """Names the definition: another source has another one."""
        return hashlib.sha256(f"{self.name}\n{self.source.text}".encode()).hexdigest()[:16]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Coroutine[Any, Any, R]:
        """Inside of a run, run as a run of its own, and wait for it; outside, just run.

        Raises:
            TypeError: the arguments are not those of the function.
            WorkflowError: it is called in a task, which would hold its place in the worker while
                the other run waits for one.
        """
        if scope.current() is None:
            return called(self.function, *args, **kwargs)
        inside = scope.required(self.name)
        return inside.run.child(self, inside.reserve(self.name), self.bound(args, kwargs))

    def bound(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments by name. Raises TypeError."""
        signature = inspect.signature(self.function)
        arguments = dict(signature.bind(*args, **kwargs).arguments)
        for name, one in signature.parameters.items():
            if one.kind is inspect.Parameter.VAR_KEYWORD:
                arguments |= arguments.pop(name, {})
        return arguments


@dataclass(frozen=True, slots=True)
class Source:
    """The file that defines a workflow."""

    file: str
    text: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Source:
        """The file of `function`; its bytecode where there is none, as in a shell."""
        try:
            file = inspect.getsourcefile(function)
            if file is not None:
                return cls(file, Path(file).read_text(encoding="utf-8"))
        except (OSError, TypeError):
            pass
        code = function.__code__
        return cls("", f"{code.co_code.hex()} {code.co_consts!r} {code.co_names!r}")


@overload
def workflow(function: Callable[P, Awaitable[R]], /) -> Workflow[P, R]: ...


@overload
def workflow(
    *,
    name: str | None = None,
    deadline_s: float | None = None,
    tier: str | None = None,
    triggers: Sequence[Any] = (),
) -> Callable[[Callable[P, Awaitable[R]]], Workflow[P, R]]: ...


def workflow(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    deadline_s: float | None = None,
    tier: str | None = None,
    triggers: Sequence[Any] = (),
) -> Any:
    """Make a workflow of an async function: `@workflow`, or `@workflow(…)` with arguments.

    The function may run several times, from its beginning: whatever it does besides calling tasks
    and the functions of Headway has to come out the same each time.

    Args:
        function: the decorated one, where there are no arguments.
        name: of the workflow; the function's by default.
        deadline_s: how long a run may take; its calls are scheduled by what remains of it.
        tier: of its calls: interactive, standard or batch.
        triggers: what starts its runs while `headway worker` is up: those of
            headway.workflows.triggers.

    Raises:
        TypeError: `function` is no async function.
        ValueError: there is no such tier, or the deadline is not positive.
    """
    if deadline_s is not None and deadline_s <= 0:
        raise ValueError(f"deadline_s is {deadline_s}; it must be positive")
    parsed = None if tier is None else Tier.parse(tier)

    def decorate(function: Callable[P, Awaitable[R]]) -> Workflow[P, R]:
        if not inspect.iscoroutinefunction(function):
            its_name = getattr(function, "__name__", repr(function))
            raise TypeError(f"@workflow decorates an async function: write `async def {its_name}`")
        for parameter in inspect.signature(function).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
                stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL)
                raise TypeError(
                    f"{function.__name__} takes {stars}{parameter.name}: inputs of a workflow have "
                    "names, so it takes no positional arguments"
                )
        return Workflow(
            function,
            name or function.__name__,
            deadline_s=deadline_s,
            tier=parsed,
            triggers=triggers,
        )

    return decorate if function is None else decorate(function)


class TaskDecorator(Protocol):
    """What `@task(…)` is: it keeps the types of the function."""

    @overload
    def __call__(self, function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, Awaitable[R]], /) -> Task[P, R]: ...


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    name: str | None = None,
    retries: int = 0,
    timeout_s: float | None = None,
    tier: str | None = None,
    resources: Mapping[str, Any] | None = None,
    fallback: Callable[..., Any] | None = None,
    backoff_s: float = 1.0,
    max_backoff_s: float = 60.0,
) -> TaskDecorator: ...


def task(
    function: Any = None,
    /,
    *,
    name: str | None = None,
    retries: int = 0,
    timeout_s: float | None = None,
    tier: str | None = None,
    resources: Mapping[str, Any] | None = None,
    fallback: Callable[..., Any] | None = None,
    backoff_s: float = 1.0,
    max_backoff_s: float = 60.0,
) -> Any:
    """Make a step of a function, async or plain (which runs in a thread): `@task` or `@task(…)`.

    Args:
        function: the decorated one, where there are no arguments.
        name: of the step; the function's by default.
        retries: further attempts after the first, on errors that may pass: not on errors of the
            program, such as TypeError, and not on what an engine refuses for good.
        timeout_s: for each attempt; not for plain functions, which nothing can stop.
        tier: of its calls and among tasks that wait for resources.
        resources: what it occupies: `cpu`, `memory_mb`, `gpu`, `gpu_memory_mb`, and `exclusive`,
            names that only one task at a time may hold.
        fallback: called with the same arguments once all attempts have failed.
        backoff_s: wait before the first retry; it doubles, with jitter.
        max_backoff_s: the longest of these waits.

    Raises:
        TypeError: `function` is none, or a resource is unknown.
        ValueError: a number is out of range, or there is no such tier.
    """
    settings = TaskSettings(
        retries=retries,
        timeout_s=timeout_s,
        tier=None if tier is None else Tier.parse(tier),
        needs=needs_of(resources or {}),
        fallback=fallback,
        backoff_s=backoff_s,
        max_backoff_s=max_backoff_s,
    )

    def decorate(function: Callable[P, Any]) -> Task[P, Any]:
        if not callable(function):
            raise TypeError(
                f"@task decorates a function, not {function!r}; name the arguments, as "
                "@task(retries=3)"
            )
        if timeout_s is not None and not inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__name__} is not async, so timeout_s cannot stop it; make it async"
            )
        return Task(function, name or function.__name__, settings)

    return decorate if function is None else decorate(function)


def needs_of(resources: Mapping[str, Any]) -> Needs:
    """The resources that a task states. Raises TypeError and ValueError."""
    exclusive = resources.get("exclusive", ())
    names = (exclusive,) if isinstance(exclusive, str) else tuple(exclusive)
    amounts = {name: value for name, value in resources.items() if name != "exclusive"}
    known = ("cpu", "memory_mb", "gpu", "gpu_memory_mb")
    for name, value in amounts.items():
        if name not in known:
            raise TypeError(f"unknown resource {name}; there are {', '.join(known)}, exclusive")
        if not value >= 0:
            raise ValueError(f"resource {name} is {value}; it must not be negative")
    return Needs(**amounts, exclusive=frozenset(names))


async def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What `function` returns: awaited if it is async, else from a thread.

    Raises:
        WorkflowError: it ended the program, or returned something to await.
        Exception: what it raises.
    """
    with without_exit():
        if inspect.iscoroutinefunction(function) or isinstance(function, Task | Workflow):
            return await function(*args, **kwargs)
        result = await in_thread(partial(function, *args, **kwargs))
    if inspect.isawaitable(result):
        raise WorkflowError(f"{function!r} returned something to await; make it `async def`")
    return result
