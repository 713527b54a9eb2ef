"""The default model: a blend of three that see a prompt differently."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from headway.prediction.arrays import Floats, State, named, part
from headway.prediction.models.kernel import KernelRidge
from headway.prediction.models.ridge import HashedRidge
from headway.prediction.models.trees import Trees
from headway.prediction.texts.features import FeatureMaker, Features
from headway.prediction.texts.prompt import Prompt

RIDGE_ALPHA = 1.5
KERNEL_ALPHA = 1.0
FOLDS = 5
TREE_FOLDS = 3
BASE_COPIES = 5
"""How often each of the base's three scores is repeated as a feature, to give it more weight."""
MANY = 5000
"""With at least this many examples, trees are larger and more numerous."""
ROOT = 3.0
"""Lengths are learned as cube roots. Prediction errors cost a schedule seconds: on a log scale, 2
tokens instead of 1 would count as much as 512 instead of 256; on a linear scale, hardly anything
but the longest answers would count."""


class Stack:
    """Ridge on hashed words, kernel ridge on the dense features, boosted trees on everything.

    The trees also see the scores of the other two, on prompts that those were not trained on
    (stacked generalisation, Wolpert 1992), and the scores of the base, if there is one.

    Args:
        blend: weights of ridge, kernel and trees, then the intercept.
        base: a model of other traffic, whose scores are features too.
        lengths: whether the blend is a root of output tokens and the score their log2; otherwise
            both are in the unit of the targets.
    """

    def __init__(
        self,
        maker: FeatureMaker,
        ridge: HashedRidge,
        kernel: KernelRidge,
        trees: Trees,
        blend: Floats,
        base: Stack | None,
        lengths: bool,
    ) -> None:
        self.maker = maker
        self._ridge = ridge
        self._kernel = kernel
        self._trees = trees
        self._blend = blend
        self._base = base
        self._lengths = lengths

    @classmethod
    def fit(
        cls,
        maker: FeatureMaker,
        features: Features,
        targets: Floats,
        groups: np.ndarray,
        *,
        sample_weights: Floats | None = None,
        base: Stack | None = None,
        lengths: bool = True,
        report: Callable[[float], None] = lambda share: None,
    ) -> tuple[Stack, Floats]:
        """A model of `targets`, and a held-back score of each prompt.

        Held-back scores come from models that were not trained on the prompt in question.

        Args:
            maker: made `features`, and will make those of future prompts.
            features: of the prompts.
            targets: one for each prompt.
            groups: a number for each prompt; prompts of one group are held back together.
            sample_weights: the weight of each prompt; None: all equal.
            base: a model of other traffic.
            lengths: whether targets are log2 of output tokens.
            report: called with the share that is done.
        """
        if lengths:
            targets = np.exp2(targets / ROOT)
        dense = _with_base(features, base)
        count = len(features)
        weights = np.ones(count, np.float32) if sample_weights is None else sample_weights
        mean = float(np.average(targets, weights=weights))
        centred = (targets - mean).astype(np.float32)
        folds = _folds(groups)

        def ridge_on(rows: np.ndarray) -> HashedRidge:
            texts = features.buckets.rows(rows)
            return HashedRidge.fit(texts, centred[rows], weights[rows], RIDGE_ALPHA)

        def kernel_on(rows: np.ndarray) -> KernelRidge:
            return KernelRidge.fit(dense[rows], centred[rows], weights[rows], KERNEL_ALPHA)

        held_back = np.zeros((count, 3), np.float32)
        steps = FOLDS + TREE_FOLDS + 1
        for fold in range(FOLDS):
            report(fold / steps)
            rows, back = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
            held_back[back, 0] = ridge_on(rows).scores(features.buckets.rows(back))
            held_back[back, 1] = kernel_on(rows).scores(dense[back])
        stacked = np.column_stack([dense, held_back[:, :2]])

        def trees_on(rows: np.ndarray) -> Trees:
            many = len(rows) >= MANY
            return Trees.fit(
                stacked[rows],
                centred[rows],
                weights[rows],
                rounds=400 if many else 200,
                learning_rate=0.07 if many else 0.03,
                leaves=31 if many else 7,
            )

        for fold in range(TREE_FOLDS):
            report((FOLDS + fold) / steps)
            back = np.flatnonzero(folds % TREE_FOLDS == fold)
            held_back[back, 2] = trees_on(np.flatnonzero(folds % TREE_FOLDS != fold)).scores(
                stacked[back]
            )
        report((steps - 1) / steps)
        everything = np.arange(count)
        blend = blend_of(held_back, centred, weights)
        model = cls(
            maker,
            ridge_on(everything),
            kernel_on(everything),
            trees_on(everything),
            np.append(blend, mean).astype(np.float32),
            base,
            lengths,
        )
        return model, model._blended(held_back)

    def scores(self, prompts: Sequence[Prompt]) -> Floats:
        """One score per prompt, comparable with the targets."""
        return self.scores_of(self.maker.of(prompts))

    def scores_of(self, features: Features) -> Floats:
        """The same from features."""
        return self._blended(self._views(features))

    def _blended(self, views: Floats) -> Floats:
        """Scores from the scores of the three models."""
        blended: Floats = (views @ self._blend[:3] + self._blend[3]).astype(np.float32)
        if not self._lengths:
            return blended
        # No answer is shorter than one token.
        scores: Floats = np.float32(ROOT) * np.log2(np.maximum(blended, np.float32(1.0)))
        return scores

    def _views(self, features: Features) -> Floats:
        """(prompts, 3): the scores of ridge, kernel and trees."""
        dense = _with_base(features, self._base)
        ridge = self._ridge.scores(features.buckets)
        kernel = self._kernel.scores(dense)
        trees = self._trees.scores(np.column_stack([dense, ridge, kernel]))
        views: Floats = np.column_stack([ridge, kernel, trees])
        return views

    def state(self) -> State:
        state = {
            "blend": self._blend,
            "lengths": np.array(self._lengths),
            **named("maker", self.maker.state()),
            **named("ridge", self._ridge.state()),
            **named("kernel", self._kernel.state()),
            **named("trees", self._trees.state()),
        }
        if self._base is not None:
            state |= named("base", self._base.state())
        return state

    @classmethod
    def of(cls, state: State) -> Stack:
        base = part(state, "base")
        return cls(
            FeatureMaker.from_state(part(state, "maker")),
            HashedRidge.of(part(state, "ridge")),
            KernelRidge.of(part(state, "kernel")),
            Trees.of(part(state, "trees")),
            state["blend"].astype(np.float32),
            cls.of(base) if base else None,
            # Files without this entry are older than learning roots.
            bool(state.get("lengths", False)),
        )


def _with_base(features: Features, base: Stack | None) -> Floats:
    if base is None:
        return features.dense
    views = np.repeat(base._views(features), BASE_COPIES, axis=1)
    dense: Floats = np.hstack([features.dense, views])
    return dense


def _folds(groups: np.ndarray) -> np.ndarray:
    """The fold of each prompt, the same within a group."""
    distinct, number_of = np.unique(groups, return_inverse=True)
    if len(distinct) < FOLDS:  # too few texts: groups may be split
        number_of = np.arange(len(groups))
    folds: np.ndarray = np.random.default_rng(0).permutation(len(groups))[number_of] % FOLDS
    return folds


def blend_of(views: Floats, targets: Floats, weights: Floats) -> Floats:
    """The non-negative weights of the columns of `views` that fit `targets` best."""
    from scipy.optimize import nnls

    scale = np.sqrt(weights)[:, None]
    blend: Floats = nnls(views * scale, targets * scale[:, 0])[0].astype(np.float32)
    return blend
