"""Trees grown by LightGBM, evaluated without it."""

import sys
from pathlib import Path

import lightgbm
import numpy as np
import pytest

from headway.prediction.models.trees import Trees


def test_scores_equal_those_of_lightgbm() -> None:
    rng = np.random.default_rng(1)
    features = rng.normal(size=(500, 6)).astype(np.float32)
    features[:, 3] = np.round(features[:, 3])  # ties with thresholds
    targets = (features[:, 0] * features[:, 1] + features[:, 3]).astype(np.float32)
    data = lightgbm.Dataset(features, targets)
    booster = lightgbm.train({"verbose": -1, "max_depth": 5}, data, 40)
    trees = Trees._from_dump(booster.dump_model()["tree_info"])
    expected = booster.predict(features)
    assert np.allclose(trees.scores(features), expected, atol=1e-4)
    assert np.allclose(Trees.of(trees.state()).scores(features), expected, atol=1e-4)


def test_one_length_for_all_is_one_leaf() -> None:
    features, ones = np.zeros((50, 2), np.float32), np.ones(50, np.float32)
    trees = Trees.fit(features, ones, ones, rounds=5, learning_rate=0.1, leaves=7)
    assert np.allclose(trees.scores(features), 1.0)


def test_a_lightgbm_that_does_not_load_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "lightgbm.py").write_text("raise OSError('libgomp.so.1: cannot open it')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "lightgbm")
    features, ones = np.zeros((50, 2), np.float32), np.ones(50, np.float32)
    with pytest.raises(ImportError, match=r"libgomp\.so\.1: .*apt install libgomp1"):
        Trees.fit(features, ones, ones, rounds=5, learning_rate=0.1, leaves=7)
