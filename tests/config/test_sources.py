"""Three sources in rising precedence, and errors that name themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.config.loading import failure, file, flag, place

import headway
from headway.config.settings import Settings
from headway.config.sources import Flag, load
from headway.core.policies import POLICIES


def test_with_nothing_set_the_defaults_serve_this_machine() -> None:
    settings = load().settings
    assert (settings.host, settings.port, settings.policy) == ("127.0.0.1", 8080, "srpt")
    assert settings.embedded
    assert not settings.exposed
    assert settings == Settings()


def test_off_is_a_word_and_yes_is_true() -> None:
    file(
        "fairness: off\nmodel: true-7b\nlog: {prompts: yes}\n"
        "prediction: {predictor: off, learn: off}\n"
    )
    settings = load().settings
    assert settings.fairness == settings.prediction.predictor == "off"
    assert settings.model == "true-7b"
    assert not settings.prediction.learn
    assert settings.log.prompts


def test_flags_outrank_the_environment_and_that_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    file("policy: fcfs\nport: 1\nhost: 127.0.0.2\n")
    monkeypatch.setenv("HEADWAY_PORT", "2")
    monkeypatch.setenv("HEADWAY_POLICY", "sjf")
    found = load([flag("--policy", "policy", "gittins")])
    assert (found.settings.policy, found.settings.port) == ("gittins", 2)
    assert found.settings.host == "127.0.0.2"
    assert place(found, "policy") == "--policy"
    assert place(found, "port") == "HEADWAY_PORT"
    assert place(found, "host") == "headway.yaml:3"
    assert place(found, "slots") == "default"


def test_sections_are_merged_key_by_key(monkeypatch: pytest.MonkeyPatch) -> None:
    file("tiers:\n  batch:\n    max_running: 2\n")
    monkeypatch.setenv("HEADWAY_TIERS__BATCH__MAX_WAIT_S", "60")
    found = load([flag("--set tiers.batch.weight", "tiers.batch.weight", 3)])
    batch = found.settings.tiers.batch
    assert (batch.max_running, batch.max_wait_s, batch.weight) == (2, 60.0, 3.0)
    assert batch.max_queue == Settings().tiers.batch.max_queue
    assert found.settings.tiers.standard == Settings().tiers.standard
    assert place(found, "tiers.batch.max_running") == "headway.yaml:3"
    assert place(found, "tiers.batch.max_wait_s") == "HEADWAY_TIERS__BATCH__MAX_WAIT_S"
    assert place(found, "tiers.batch.weight") == "--set tiers.batch.weight"


def test_a_list_is_replaced_whole() -> None:
    file("backends:\n- url: http://a/v1\n- url: http://b/v1\n")
    found = load([flag("--backend", "backends", [{"url": "http://c:1/v1/"}])])
    assert [backend.url for backend in found.settings.backends] == ["http://c:1/v1"]


def test_environment_takes_json_for_lists_and_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADWAY_BACKENDS", '[{"url": "http://a:1"}]')
    monkeypatch.setenv("HEADWAY_LOG__REQUESTS_DB", "null")
    monkeypatch.setenv("HEADWAY_TENANT_WEIGHTS", '{"Acme": 2}')
    settings = load().settings
    assert settings.backends[0].url == "http://a:1"
    assert settings.log.requests_db is None
    assert settings.tenant_weights == {"Acme": 2.0}
    monkeypatch.setenv("HEADWAY_BACKENDS", "http://a:1")
    assert failure() == "HEADWAY_BACKENDS: a list or a section is given as JSON here"


def test_the_file_is_named_by_flag_or_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    file("port: 1\n")
    file("port: 2\n", "two.yaml")
    file("port: 3\n", "three.yaml")
    assert load().settings.port == 1
    monkeypatch.setenv("HEADWAY_CONFIG", "two.yaml")
    assert load().settings.port == 2
    assert load(path=Path("three.yaml")).settings.port == 3
    assert "none.yaml: cannot be read" in failure(path=Path("none.yaml"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "port: 1\npolcy: fcfs\n",
            "headway.yaml:2: unknown setting 'polcy'; did you mean policy?",
        ),
        (
            "tiers:\n  interactve:\n    max_wait_s: 1\n",
            "headway.yaml:2: unknown setting 'tiers.interactve'; did you mean interactive?",
        ),
        (
            "tiers:\n  batch:\n    max_wait: 1\n",
            "headway.yaml:3: unknown setting 'tiers.batch.max_wait'; did you mean max_wait_s?",
        ),
        (
            "backends:\n- url: http://a\n- url: http://b\n  max_concurency: 3\n",
            "headway.yaml:4: unknown setting 'backends[1].max_concurency'; "
            "did you mean max_concurrency?",
        ),
        (
            "prediction:\n  fallback: ltr\n",
            "headway.yaml:2: prediction.fallback: 'ltr' needs predictions itself; choose one of "
            "fcfs, edf, slack, hrrn, mlfq, gittins, priority",
        ),
        (
            "prediction:\n  predictor: off\n  ask_model: true\n",
            "headway.yaml:3: prediction.ask_model: needs a predictor beside it, for replies that "
            "name no number; remove predictor: off",
        ),
        (
            "policy: srtp\n",
            f"headway.yaml:1: policy: 'srtp' is not one of {', '.join(POLICIES)}; "
            "did you mean srpt?",
        ),
        (
            "tier_mode: weigthed\n",
            "headway.yaml:1: tier_mode: 'weigthed' is not one of strict, weighted; "
            "did you mean weighted?",
        ),
        (
            "port: many\n",
            "headway.yaml:1: port: input should be a valid integer, unable to parse string as an "
            "integer, got 'many'",
        ),
        (
            "port: 70000\n",
            "headway.yaml:1: port: input should be less than or equal to 65535, got 70000",
        ),
        (
            "tiers:\n  batch:\n    max_wait_s: -1\n",
            "headway.yaml:3: tiers.batch.max_wait_s: input should be greater than or equal to 0, "
            "got -1",
        ),
        (
            "backends:\n- name: a\n",
            "headway.yaml:2: backends[0] needs 'url'",
        ),
        (
            "backends:\n- url: gpu:8000\n",
            "headway.yaml:2: backends[0].url: 'gpu:8000' is not an http:// or https:// URL",
        ),
        (
            "backends:\n- url: http://a\n  models: [gpt-*]\n",
            "headway.yaml:3: backends[0].models: 'gpt-*' needs the name of a model that it stands "
            "for: write models: {'gpt-*': NAME}",
        ),
        (
            "prices:\n  models:\n    m: {input: -1, output: 2}\n",
            "headway.yaml:3: prices.models.m.input: input should be greater than or equal to 0, "
            "got -1",
        ),
        (
            "prices:\n  models:\n    m: {input: 1, output: 2, ouput: 2}\n",
            "headway.yaml:3: unknown setting 'prices.models.m.ouput'",
        ),
        (
            "prices:\n  backends:\n    gpu: {every_s: 60}\n",
            "headway.yaml:3: prices.backends.gpu: has no price; write hour: 2.50, or models: with "
            "prices of tokens",
        ),
        (
            "prices:\n  backends:\n    gpu: {hour: .inf}\n",
            "headway.yaml:3: prices.backends.gpu.hour: input should be a finite number, got inf",
        ),
        (
            "prices:\n  backends:\n    gpu: {by_hour: {at night: 1}}\n",
            "headway.yaml:3: prices.backends.gpu.by_hour: 'at night' are no hours; write them as "
            "22:00-06:00 Europe/Berlin",
        ),
        (
            "tenant_budgets:\n  a: {tokens_per_day: -5}\n",
            "headway.yaml:2: tenant_budgets.a.tokens_per_day: input should be greater than or "
            "equal to 0, got -5",
        ),
        (
            "tenant_budgets:\n  a: {tokens_per_day: 5, downgrade_to: small}\n",
            "headway.yaml:2: tenant_budgets.a: downgrade_to needs when_spent: downgrade",
        ),
        (
            "tenant_budgets:\n  a: {tokens_per_day: 5}\nlog:\n  requests_db: null\n",
            "headway.yaml:3: log: budgets need requests_db: what was spent is read from it at a "
            "start",
        ),
        (
            "batch:\n  budget: {tokens_per_day: 5}\nlog:\n  requests_db: null\n",
            "headway.yaml:3: log: budgets need requests_db: what was spent is read from it at a "
            "start",
        ),
        (
            "tenant_budgets:\n  a: {money_per_month: 5}\nlog:\n  keep_days: 7\n",
            "headway.yaml:3: log: budgets of a month need keep_days: 31 or more",
        ),
        (
            "aliases:\n  gpt-*: qwen-*\n",
            "headway.yaml:1: aliases: 'gpt-*': 'qwen-*' does not name one model",
        ),
        (
            "backends:\n- url: http://gpu:80000\n",
            "headway.yaml:2: backends[0].url: 'http://gpu:80000' is not an http:// or https:// URL",
        ),
        (
            "backends:\n- url: htp://user:secret@gpu\n",
            "headway.yaml:2: backends[0].url: it is not an http:// or https:// URL",
        ),
        (
            "backends:\n- url: http://user:secret@gpu\n  api_key: k\n",
            "headway.yaml:2: backends[0]: set an API key, or a user and password in url, not both",
        ),
        (
            "backends:\n- url: http://a\n  name: x\n- url: http://b\n  name: x\n",
            "headway.yaml:1: backends: the name 'x' is there twice",
        ),
        (
            "backends:\n- url: http://a\n  api_key_env: NOT_SET_ANYWHERE\n",
            "headway.yaml:2: backends[0]: api_key_env names NOT_SET_ANYWHERE, which is not set",
        ),
        (
            "workers:\n- url: 127.0.0.1:8090\n",
            "headway.yaml:2: workers[0].url: '127.0.0.1:8090' is no address of a worker; write",
        ),
        (
            "workers:\n- url: http://a\n  name: x/y\n",
            "headway.yaml:3: workers[0].name: 'x/y' is no name; write letters, digits, dots",
        ),
        (
            "workers:\n- url: http://a\n- url: http://b\n",
            "headway.yaml:1: workers: the name 'worker' is there twice",
        ),
        (
            "workers:\n- url: http://a\n  key_env: NOT_SET_ANYWHERE\n",
            "headway.yaml:2: workers[0]: key_env names NOT_SET_ANYWHERE, which is not set",
        ),
        (
            "cors:\n  allow_origins: [https://app.example/]\n",
            "headway.yaml:2: cors.allow_origins: 'https://app.example/' is not an origin",
        ),
        (
            "hosts: [gateway.example:8080]\n",
            "headway.yaml:1: hosts: 'gateway.example:8080' is not a host name; write it without",
        ),
        (
            f"keys: [{{name: a, sha256: {'0a' * 32}}}, {{name: b, sha256: {'0A' * 32}}}]\n",
            "headway.yaml:1: keys: 'a' and 'b' are one and the same key",
        ),
        ("port: 1\nport: 2\n", "headway.yaml:2: 'port' is there twice"),
        ("- port\n", "headway.yaml: must hold `key: value` lines at its top"),
        ("port: [1\n", "headway.yaml:2: is not YAML: "),
        ("port: \x01\n", "headway.yaml: is not YAML text"),
    ],
)
def test_a_wrong_line_names_itself_and_the_nearest_right_one(text: str, message: str) -> None:
    file(text)
    assert failure().startswith(message)


def test_a_file_that_is_no_text_is_one_clear_error() -> None:
    Path("headway.yaml").write_bytes(b"\xff\xfe\x00")
    assert failure() == "headway.yaml: is not UTF-8 text; settings are a YAML file"


def test_an_empty_file_is_fine() -> None:
    file("# nothing yet\n")
    assert load().settings == Settings()


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("HEADWAY_POLCY", "fcfs", "unknown setting 'polcy'; did you mean HEADWAY_POLICY?"),
        (
            "HEADWAY_TIERS__BATCH__MAX_WAITS",
            "1",
            "unknown setting 'tiers.batch.max_waits'; did you mean max_wait_s?",
        ),
        (
            "HEADWAY_TIERS__BTCH__WEIGHT",
            "1",
            "unknown setting 'tiers.btch'; did you mean batch?",
        ),
        ("HEADWAY_PORT__X", "1", "unknown setting 'port.x'"),
        ("HEADWAY_SLOTS", "0", "slots: input should be greater than or equal to 1, got '0'"),
    ],
)
def test_a_wrong_variable_names_itself(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, message: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert failure() == f"{variable}: {message}"


def test_variables_that_other_parts_of_headway_read_are_not_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = Path(headway.__file__).parent
    texts = [file.read_text(encoding="utf-8") for file in source.rglob("*.py")]
    read = {name for text in texts for name in re.findall(r'"(HEADWAY_[A-Z_]*[A-Z])"', text)}
    assert len(read) > 6
    for name in read - {"HEADWAY_CONFIG"}:
        monkeypatch.setenv(name, "1")
    assert load().settings == Settings()


def test_variables_that_kubernetes_sets_for_a_service_are_not_settings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HEADWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("HEADWAY_SERVICE_PORT_HTTP", "80")
    monkeypatch.setenv("HEADWAY_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("HEADWAY_PORT_80_TCP_ADDR", "10.0.0.1")
    assert load().settings.port == 8080


def test_a_wrong_flag_names_itself() -> None:
    assert failure(flag("--policy", "policy", "fifo")).startswith("--policy: policy: 'fifo' is not")
    assert failure(flag("--set tiers.btch.weight", "tiers.btch.weight", 1)) == (
        "--set tiers.btch.weight: unknown setting 'tiers.btch'; did you mean batch?"
    )
    assert failure(Flag("--backend", ("backends",), [{"url": "gpu"}])) == (
        "--backend: backends[0].url: 'gpu' is not an http:// or https:// URL"
    )
    assert "set in two ways" in failure(
        flag("--policy", "policy", "fcfs"), flag("--set policy.x", "policy.x", 1)
    )
