"""The part of the table of routes that is about registered prompts."""

from __future__ import annotations

from headway.gateway.api import views
from headway.gateway.api.prompts import (
    AliasChange,
    PromptFilesView,
    PromptList,
    TextChange,
    TrialProgress,
    TrialsAsked,
)
from headway.gateway.routes.route import Route

PROMPTS = "/v1/headway/prompts"

PROMPT_TABLE: tuple[Route, ...] = (
    Route("GET", PROMPTS, "prompts", "The registered prompts", None, PromptList),
    Route("GET", f"{PROMPTS}/{{prompt}}", "prompt", "The files of a prompt", None, PromptFilesView),
    Route(
        "POST",
        f"{PROMPTS}/{{prompt}}/versions/{{number}}",
        "write_version",
        "Write a version of a prompt",
        TextChange,
        views.Operated,
    ),
    Route(
        "POST",
        f"{PROMPTS}/{{prompt}}/cases",
        "write_cases",
        "Write the test cases of a prompt",
        TextChange,
        views.Operated,
    ),
    Route(
        "POST",
        f"{PROMPTS}/{{prompt}}/aliases/{{alias}}",
        "move_alias",
        "Publish a version of a prompt, and let an alias mean it",
        AliasChange,
        views.Operated,
    ),
    Route(
        "POST",
        f"{PROMPTS}/{{prompt}}/trials",
        "run_trials",
        "Run the test cases of a prompt on some of its versions; a stream of events",
        TrialsAsked,
        TrialProgress,
        content_type="text/event-stream",
    ),
)
