"""Retrains predictors in the background, and uses those that prove better."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from headway.extras import install_extra
from headway.gateway.foresight.background import CommandFailed, answer_of
from headway.prediction.learning.refit import NEWEST, Verdict
from headway.prediction.live.live_predictor import LivePredictor
from headway.prediction.models.artefact import ArtefactError, load
from headway.prediction.models.predictor import Card
from headway.store.request_log import answers_of

logger = logging.getLogger(__name__)

LEAST_ANSWERS = 250
"""Minimum number of new answers of a model before its predictor is retrained."""
GROWTH = 0.25
"""Share by which its known answers must also have grown before the next retraining."""
LIMIT_S = 6 * 3600.0
"""Time limit of a refit, as the refits of other models wait for it. A refit takes minutes on a free
core but has the lowest priority, so the limit is generous: it is for a refit that hangs."""
NEEDED = ("lightgbm", "scipy", "sklearn")
"""Modules that training needs; trained predictors are used without them."""


class Refits:
    """Retrains the predictor of each model from the answers in the request log.

    `headway predictor refit` does the work, in a process of the lowest priority. A better
    predictor is loaded in a thread and swapped in between two predictions. Failures are logged.

    Args:
        live: uses the predictors.
        request_log: the SQLite file to learn from.
        folder: where the predictors are kept, a file for each model.
    """

    def __init__(self, live: LivePredictor, request_log: Path, folder: Path) -> None:
        self.replaced = 0
        """Number of retrained predictors that replaced the current one."""
        self.kept = 0
        """Number of retrained predictors that were not better."""
        self._live = live
        self._request_log = request_log
        self._folder = folder
        self._learns = all(find_spec(name) is not None for name in NEEDED)
        self._answers: Counter[str] = Counter()
        self._due_at: dict[str, float] = {}
        self._learned_from: dict[str, float] = {}
        """Of predictors loaded at the start: the number of answers known at their training."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Load the predictors that were trained before this start."""
        if not self._learns:
            logger.info(
                "predictors do not learn from the traffic: run %s", install_extra("predict")
            )
        for path in sorted(self._folder.glob("*.npz")):
            card = self._use(path)
            if card is not None:
                self._learned_from[card.target] = card.examples / (1.0 - NEWEST)

    def answered(self, model: str) -> None:
        """A request to `model` finished; its row in the log follows."""
        if not self._learns:
            return
        self._answers[model] += 1
        if self._task is None and self._answers[model] >= self._due_at.get(model, LEAST_ANSWERS):
            self._task = asyncio.create_task(self._refit(model))

    async def close(self) -> None:
        """Cancel a refit in progress."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def path_of(self, model: str) -> Path:
        """The file of `model`'s predictor."""
        return self._folder / f"{quote(model, safe='')}.npz"

    async def _refit(self, model: str) -> None:
        try:
            learned_from = self._learned_from.pop(model, None)
            if learned_from is not None:
                # The log also has answers from before this start, or fewer if it was trimmed.
                known = await asyncio.to_thread(answers_of, self._request_log, model)
                self._answers[model] = max(self._answers[model], known)
                self._due_at[model] = _grown(min(learned_from, known))
                if self._answers[model] < self._due_at[model]:
                    return
            self._due_at[model] = _grown(self._answers[model])
            path = self.path_of(model)
            verdict = await _run(self._request_log, model, path)
            if verdict is None:
                return
            if verdict.better:
                await asyncio.to_thread(self._use, path)
                self.replaced += 1
            else:
                self.kept += 1
            logger.info(
                "the predictor of %s %s: its Kendall's tau on the newest %d requests is %.3f; "
                "a predictor trained on the %d before them has %.3f",
                model,
                "was replaced" if verdict.better else "stays",
                verdict.newest,
                verdict.tau_current,
                verdict.examples,
                verdict.tau_new,
            )
        finally:
            self._task = None

    def _use(self, path: Path) -> Card | None:
        try:
            predictor = load(path)
        except ArtefactError as error:
            logger.warning("a learned predictor is not used: %s", error)
            return None
        self._live.use(predictor.card.target, predictor)
        return predictor.card


def _grown(answers: float) -> float:
    """The number of answers at which to retrain after a training with `answers`."""
    return answers * (1.0 + GROWTH) + LEAST_ANSWERS


async def _run(request_log: Path, model: str, path: Path) -> Verdict | None:
    """Run a refit of `model`. Returns its verdict; None if it failed, which is logged."""
    words = ["predictor", "refit", "--log", str(request_log), "--target", model, "--out", str(path)]
    try:
        return await answer_of(words, Verdict, LIMIT_S)
    except TimeoutError:
        logger.warning("no new predictor of %s: it took more than %g s", model, LIMIT_S)
    except CommandFailed as failure:
        logger.warning("no new predictor of %s: %s", model, failure)
    return None
