"""Makes the engine profiles that ship, from published measurements of layers and operators.

pip install pyarrow scipy
HEADWAY_DATA=../shared/data python training/profiles.py
"""

from __future__ import annotations

import os
from pathlib import Path

from layers import MODELS, QWEN_30B, profile_of, profile_of_experts
from operators import GPUS, profile_of_gpu

from headway.lab.simulation.profile import write_profile

OUT = Path(__file__).parents[1] / "src/headway/lab/simulation/profiles"


def main() -> None:
    data = Path(os.environ.get("HEADWAY_DATA", "../shared/data")) / "profiles"
    profiles = [profile_of(data / "llmservingsim", model) for model in MODELS]
    profiles.append(profile_of_experts(data / "llmservingsim", QWEN_30B))
    profiles += [profile_of_gpu(data / "aiconfigurator_ops", gpu) for gpu in GPUS]
    for profile in profiles:
        (OUT / f"{profile.name}.json").write_bytes(write_profile(profile))
        print(
            f"{profile.name}: {1e3 * profile.dense(1):.2f} ms an iteration, "
            f"{1e9 * profile.decode_kv_s:.2f} ns a token of context "
            f"({1e9 * profile.mixed_kv_s:.2f} beside a prompt), a prompt of 2,048 tokens in "
            f"{1e3 * profile.prefill_s(2048):.0f} ms"
        )


if __name__ == "__main__":
    main()
