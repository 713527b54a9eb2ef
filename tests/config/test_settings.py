"""What settings mean, and which do not go together."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.config.loading import failure, file

from headway.config.kept import default_requests_db
from headway.config.settings import Settings
from headway.config.source import ConfigError
from headway.config.sources import Flag, load
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import INFINITE
from headway.prices.table import SpotCommand
from headway.prices.tokens import TokenPrice


def test_models_are_named_as_the_backend_does_or_otherwise() -> None:
    file(
        "backends:\n- {url: http://a, models: [m]}\n- {url: http://b, models: {m: own, 'g-*': x}}\n"
        "aliases: {gpt-4o: m}\n"
    )
    settings = load().settings
    assert [one.models for one in settings.backends] == [{"m": "m"}, {"m": "own", "g-*": "x"}]
    assert settings.aliases == {"gpt-4o": "m"}


def test_an_api_key_is_never_shown() -> None:
    file("backends:\n- url: http://a\n  api_key: 12345\n")
    assert "12345" not in failure()
    file("backends:\n- url: http://a\n  api_key: hush\n")
    settings = load().settings
    assert "hush" not in repr(settings)
    assert settings.backends[0].secret() == "hush"


def test_an_api_key_can_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "hush")
    file("backends:\n- url: http://a\n  api_key_env: MY_KEY\n")
    assert load().settings.backends[0].secret() == "hush"
    file("backends:\n- url: http://a\n  api_key_env: MY_KEY\n  api_key: x\n")
    assert "set api_key or api_key_env, not both" in failure()


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.org", False),
    ],
)
def test_without_keys_only_loopback_is_not_exposed(host: str, alone: bool) -> None:
    keys = [{"name": "a", "sha256": "0" * 64}]
    assert Settings(host=host).exposed is not alone
    assert not Settings(host=host, keys=keys).exposed
    assert not Settings(host=host, allow_open=True).exposed


def test_backends_replace_the_embedded_engine_unless_a_model_is_named() -> None:
    backends = [{"url": "http://a"}]
    assert not Settings(backends=backends).embedded
    assert Settings(backends=backends, model="model.gguf").embedded


def test_the_scheduler_gets_what_was_set() -> None:
    file(
        "tail: 1.3\npolicy: gittins\ntier_mode: weighted\nfairness: vtc\n"
        "tenant_weights: {acme: 2}\n"
        "tenant_max_running: 3\nmax_queue: 50\non_missed_deadline: downgrade\n"
        "preemption: {enabled: false, trail_c: 0.8, quantum_s: 2}\n"
        "tiers: {interactive: {max_wait_s: null, max_slowdown: 5, max_running: 1}}\n"
    )
    scheduling = load().settings.scheduler()
    assert (scheduling.policy, scheduling.tier_mode) == ("gittins", "weighted")
    assert (scheduling.fairness, scheduling.tenant_weights) == ("vtc", {"acme": 2.0})
    assert (scheduling.tenant_max_running, scheduling.max_queue) == (3, 50)
    assert scheduling.on_missed_deadline == "downgrade"
    assert (scheduling.preemption.enabled, scheduling.preemption.trail_c) == (False, 0.8)
    assert scheduling.preemption.quantum_s == 2.0
    assert scheduling.boost.tail == 1.3
    interactive = scheduling.tier(Tier.INTERACTIVE)
    assert (interactive.max_wait_s, interactive.max_slowdown) == (INFINITE, 5.0)
    assert interactive.max_running == 1
    assert scheduling.tier(Tier.BATCH).max_wait_s == 3600.0
    assert Scheduler(scheduling).policy_name == "gittins"


def test_a_tail_below_that_of_fcfs_is_refused() -> None:
    file("policy: boost\ntail: 0.9\n")
    with pytest.raises(ConfigError, match=r"a tail of 0\.9 cannot be promised; choose at least 1"):
        load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("queue: 10.0.0.5:6379", "queue: '10.0.0.5:6379' is not the URL of a Redis, as redis://"),
        ("queue: http://me:secret@gpu", "queue: it is not the URL of a Redis, as redis://"),
        ("queue: redis://a\npolicy: auto", "policy auto chooses for one gateway alone"),
        ("queue: redis://a\nlog: {events: e}", "log.events holds what one gateway decides"),
    ],
)
def test_a_queue_that_gateways_share_is_in_a_redis(text: str, message: str) -> None:
    told = failure(path=file(text))
    assert message in told
    assert "secret" not in told


def test_the_password_of_the_queue_is_never_shown() -> None:
    from headway.redaction import masked

    url = load(path=file("queue: redis://:secret@gpu:6379/0")).settings.queue
    assert url is not None
    assert "secret" not in masked(url)


def test_the_request_log_lies_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_requests_db() == Path("/state/headway/requests.db")


def test_origins_and_hosts() -> None:
    file(
        "hosts: [gateway.example, '::1']\n"
        "cors: {allow_origins: ['*', 'http://localhost:3000', 'tauri://localhost']}\n"
    )
    settings = load().settings
    assert settings.hosts == ("gateway.example", "::1")
    assert settings.cors.allow_origins == ("*", "http://localhost:3000", "tauri://localhost")


def test_models_that_answer_batches_need_no_embedded_engine() -> None:
    file("models:\n- name: mini\n  path: all-MiniLM-L6-v2\n  instances: 2\n  preload: false\n")
    settings = load().settings
    assert settings.models is not None
    (model,) = settings.models
    assert (model.name, model.instances, model.preload) == ("mini", 2, False)
    assert (model.max_batch_size, model.batching, model.unload_after_s) == (32, "adaptive", None)
    assert not settings.embedded


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("  instances: 0", "models[0].instances"),
        ("  instances: 1-4", "models[0].instances: cannot read the scale '1-4'"),
        ("  instances: 0..4", "models[0].instances: write 1..4, and unload_after_s"),
        ("  instances: 4..1", "models[0].instances: the scale '4..1' has its least above its most"),
        ("  instance_idle_s: 0", "models[0].instance_idle_s"),
        ("  threads: 0", "models[0].threads"),
        ("  max_batch_size: 0", "models[0].max_batch_size"),
        ("  batching: clever", "models[0].batching"),
        ("  max_delay_s: -1", "models[0].max_delay_s"),
        ("  slo_s: 0", "models[0].slo_s"),
        ("  unload_after_s: 0", "models[0].unload_after_s"),
        ("  batch_sizes: [4, 2]", "models[0].batch_sizes"),
        ("  batch_lengths: [8, 8]", "models[0].batch_lengths"),
        ("  batchsize: 3", "unknown setting 'models[0].batchsize'"),
    ],
)
def test_what_is_wrong_with_a_model_is_named_with_its_place(line: str, told: str) -> None:
    file(f"models:\n- name: m\n  path: m.onnx\n{line}\n")
    assert told in failure()


def test_the_instances_of_a_model_may_be_a_range_but_not_of_a_server() -> None:
    file("models:\n- {name: m, path: m.onnx, instances: 1..4}\n")
    (model,) = load().settings.models or ()
    assert (model.least_instances, model.most_instances) == (1, 4)
    file("models:\n- {name: m, path: 'http://gpu-1:8000', instances: 1..4}\n")
    assert "a server gets a fixed number of batches at once, not 1..4" in failure()


def test_a_model_needs_a_name_and_a_path() -> None:
    file("models:\n- name: m\n")
    assert "models[0] needs 'path'" in failure()
    file("models:\n- name: default\n  path: a\n")
    assert "models[0].name: 'default' is no name of a model" in failure()
    file("models:\n- name: m\n  path: a\n- name: m\n  path: b\n")
    assert "the name 'm' is there twice" in failure()


def test_a_key_of_tls_needs_its_certificate(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="needs tls_cert beside it"):
        load(flags=[Flag("--tls-key", ("tls_key",), str(tmp_path / "key.pem"))])


def test_prices_and_budgets_become_plain_values() -> None:
    Path("headway.yaml").write_text(
        "prices:\n"
        "  models: {m: {input: 1, output: 2, cached_input: 0}}\n"
        "  backends:\n"
        "    gpu: {hour: 2.5, by_hour: {'22:00-06:00 UTC': 1.0}, command: ./price, every_s: 60}\n"
        "tenant_budgets: {acme: {money_per_day: 0}}\n"
    )
    settings = load().settings
    prices = settings.prices.prices()
    assert prices.models == {"m": TokenPrice(1.0, 2.0, 0.0)}
    gpu = prices.backends["gpu"]
    assert gpu.spot == SpotCommand("./price", 60.0, 30.0)
    assert gpu.hourly is not None and gpu.hourly.hour == 2.5
    assert [price for _, price in gpu.hourly.by_hour] == [1.0]
    assert settings.tenant_budgets["acme"].money_per_day == 0.0
