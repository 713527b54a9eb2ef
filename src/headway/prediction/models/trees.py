"""Boosted regression trees: trained by LightGBM, evaluated here with numpy alone."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from headway.machine import usable_cores
from headway.prediction.arrays import Floats, Integers, State

MAX_DEPTH = 7
"""Each level costs one pass over all trees."""


class Trees:
    """A sum of trees. Serving needs no LightGBM, and plain arrays are safe to load.

    Args:
        feature, threshold: of every node of all trees; go left if feature <= threshold.
        left, right: the child nodes; a leaf points to itself.
        value: of every leaf.
        roots: the first node of each tree.
        depth: of the deepest tree.
    """

    def __init__(
        self,
        feature: Integers,
        threshold: Floats,
        left: Integers,
        right: Integers,
        value: Floats,
        roots: Integers,
        depth: int,
    ) -> None:
        # `take` is faster than brackets with indices of this type, and casts all others first.
        self._feature = feature.astype(np.intp)
        self._threshold = threshold
        self._children = np.stack([right, left], axis=1).ravel().astype(np.intp)
        self._left = left
        self._right = right
        self._value = value
        self._roots = roots.astype(np.intp)
        self._depth = depth

    @classmethod
    def fit(
        cls,
        features: Floats,
        targets: Floats,
        sample_weights: Floats,
        *,
        rounds: int,
        learning_rate: float,
        leaves: int,
    ) -> Trees:
        """Gradient boosting on squared error.

        Raises:
            ModuleNotFoundError: lightgbm is not installed.
            ImportError: it is, and does not load.
        """
        try:
            import lightgbm
        except OSError as error:  # its wheels expect OpenMP's library on the system
            raise ImportError(
                f"lightgbm does not load ({error}); on Debian or Ubuntu, apt install libgomp1"
            ) from None

        parameters = {
            "objective": "regression",
            "learning_rate": learning_rate,
            "num_leaves": leaves,
            "max_depth": MAX_DEPTH,
            "min_data_in_leaf": 20,
            "feature_fraction": 0.4,
            "bagging_fraction": 0.8,
            "bagging_freq": 1,
            "lambda_l2": 5.0,
            "seed": 0,
            # Threads beyond the quota of a container spin while they wait for one another.
            "num_threads": 0 if "OMP_NUM_THREADS" in os.environ else usable_cores(),
            "deterministic": True,
            "verbose": -1,
        }
        data = lightgbm.Dataset(features, targets, weight=sample_weights)
        booster = lightgbm.train(parameters, data, rounds)
        return cls._from_dump(booster.dump_model()["tree_info"])

    @classmethod
    def _from_dump(cls, trees: list[dict[str, Any]]) -> Trees:
        nodes: list[tuple[int, float, int, int, float]] = []
        deepest = 0

        def add(node: dict[str, Any], depth: int) -> int:
            nonlocal deepest
            deepest = max(deepest, depth)
            number = len(nodes)
            if "leaf_value" in node:
                nodes.append((0, np.inf, number, number, node["leaf_value"]))
                return number
            nodes.append((0, 0.0, 0, 0, 0.0))
            left = add(node["left_child"], depth + 1)
            right = add(node["right_child"], depth + 1)
            nodes[number] = (node["split_feature"], node["threshold"], left, right, 0.0)
            return number

        roots = [add(tree["tree_structure"], 0) for tree in trees]
        feature, threshold, left, right, value = zip(*nodes, strict=True)
        return cls(
            np.array(feature, np.int32),
            _rounded_down(np.array(threshold)),
            np.array(left, np.int32),
            np.array(right, np.int32),
            np.array(value, np.float32),
            np.array(roots, np.int32),
            deepest,
        )

    def scores(self, features: Floats) -> Floats:
        """One score per row."""
        rows, columns = features.shape
        flat = np.ascontiguousarray(features, np.float32).ravel()
        offsets = (np.arange(rows) * columns)[:, None]
        node = np.broadcast_to(self._roots, (rows, len(self._roots)))
        for _ in range(self._depth):
            goes_left = flat.take(offsets + self._feature.take(node)) <= self._threshold.take(node)
            node = self._children.take(2 * node + goes_left)
        scores: Floats = self._value.take(node).sum(axis=1, dtype=np.float32)
        return scores

    def state(self) -> State:
        return {
            "feature": self._feature.astype(np.int16),
            "threshold": self._threshold,
            "left": self._left,
            "right": self._right,
            "value": self._value,
            "roots": self._roots.astype(np.int32),
            "depth": np.array([self._depth], np.int32),
        }

    @classmethod
    def of(cls, state: State) -> Trees:
        return cls(
            state["feature"].astype(np.int32),
            state["threshold"].astype(np.float32),
            state["left"].astype(np.int32),
            state["right"].astype(np.int32),
            state["value"].astype(np.float32),
            state["roots"].astype(np.int32),
            int(state["depth"][0]),
        )


def _rounded_down(thresholds: np.ndarray) -> Floats:
    """Thresholds in single precision that send single-precision features the same way."""
    single = thresholds.astype(np.float32)
    return np.where(single > thresholds, np.nextafter(single, np.float32(-np.inf)), single)
