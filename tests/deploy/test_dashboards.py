"""The dashboards for Grafana: one look, and a reader who knows nothing can read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.deploy.deployed import DASHBOARDS, Query, dashboard, panels, variables

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OWN = {"uid", "title", "description", "templating", "panels"}
"""What is a dashboard's own; the rest is the same in all of them."""
BOARDS = [dashboard(path) for path in DASHBOARDS]
BY_TIER = (
    "headway_wait_", "headway_ttft_", "headway_tpot_", "headway_latency_", "headway_slowdown_",
    "headway_requests_total", "headway_requests_due_", "headway_tokens_", "headway_preemptions_",
    "headway_failovers_", "headway_queue_", "headway_model_requests_", "headway_model_latency_",
)  # fmt: skip
"""How the names of metrics begin that have the label `tier`."""


def test_there_are_four() -> None:
    names = ["batching.json", "overview.json", "prediction.json", "tiers.json"]
    assert [path.name for path in DASHBOARDS] == names
    assert len({board["uid"] for board in BOARDS}) == len(BOARDS)


def test_they_look_alike() -> None:
    shared = [{name: of for name, of in board.items() if name not in OWN} for board in BOARDS]
    assert all(one == shared[0] for one in shared)
    looks: dict[str, Any] = {}
    for board in BOARDS:
        for panel in panels(board):
            assert looks.setdefault(panel["type"], panel["options"]) == panel["options"] or (
                panel["type"] == "heatmap"
            )


def test_a_name_has_one_colour() -> None:
    colours: dict[str, Any] = {}
    for board in BOARDS:
        for panel in panels(board):
            for override in panel["fieldConfig"]["overrides"]:
                for one in override["properties"]:
                    if one["id"] == "color":
                        name = override["matcher"]["options"]
                        assert colours.setdefault(name, one["value"]) == one["value"], name


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_panel_says_what_it_shows_and_in_which_unit(path: Path) -> None:
    for panel in panels(dashboard(path)):
        assert panel["title"] and panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        for target in panel["targets"]:
            assert target["legendFormat"]


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_the_reader_chooses_the_data_source(path: Path) -> None:
    board = dashboard(path)
    first = board["templating"]["list"][0]
    assert (first["name"], first["type"], first["query"]) == SOURCES
    uses = [*variables(board), *board["annotations"]["list"], *board["panels"]]
    targets = [target for panel in panels(board) for target in panel["targets"]]
    for one in (*uses, *targets):
        assert one.get("datasource", SOURCE) == SOURCE
    assert all("datasource" in one for one in (*panels(board), *targets, *variables(board)))


SOURCES = ("datasource", "datasource", "prometheus")


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_choice_holds_for_every_query_with_that_label(path: Path) -> None:
    board = dashboard(path)
    names = {one["name"] for one in variables(board)}
    assert "instance" in names
    for panel in panels(board):
        for target in panel["targets"]:
            for selector in Query(panel["title"], target["expr"]).selectors:
                chosen = {value for _, _, value in selector.matchers if value.startswith("$")}
                assert "$instance" in chosen, panel["title"]
                if "tier" in names and selector.name.startswith(BY_TIER):
                    assert "$tier" in chosen, panel["title"]
                if "model" in names and selector.name.startswith("headway_model_"):
                    assert "$model" in chosen, panel["title"]
                assert chosen <= {f"${name}" for name in names}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_panels_fill_the_grid_and_do_not_overlap(path: Path) -> None:
    board = dashboard(path)
    numbers = [panel["id"] for panel in board["panels"]]
    assert len(set(numbers)) == len(numbers)
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
