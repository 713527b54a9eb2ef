"""Settings: three sources in rising precedence, and errors that name themselves."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import headway
from headway.config.kept import default_requests_db
from headway.config.settings import Settings
from headway.config.sources import ConfigError, Configuration, Flag, load
from headway.core.policies import POLICIES
from headway.core.request import Tier
from headway.core.scheduler import Scheduler
from headway.core.settings import INFINITE
from headway.prices.table import SpotCommand
from headway.prices.tokens import TokenPrice


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no HEADWAY_ variables."""
    monkeypatch.chdir(tmp_path)
    for variable in [name for name in os.environ if name.startswith("HEADWAY_")]:
        monkeypatch.delenv(variable)


def file(text: str, name: str = "headway.yaml") -> Path:
    Path(name).write_text(text, encoding="utf-8")
    return Path(name)


def flag(name: str, setting: str, value: object) -> Flag:
    return Flag(name, tuple(setting.split(".")), value)


def failure(*flags: Flag, path: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags, path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def place(configuration: Configuration, setting: str) -> str:
    return configuration.place(tuple(setting.split(".")))


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


def test_models_are_named_as_the_backend_does_or_otherwise() -> None:
    file(
        "backends:\n- {url: http://a, models: [m]}\n- {url: http://b, models: {m: own, 'g-*': x}}\n"
        "aliases: {gpt-4o: m}\n"
    )
    settings = load().settings
    assert [one.models for one in settings.backends] == [{"m": "m"}, {"m": "own", "g-*": "x"}]
    assert settings.aliases == {"gpt-4o": "m"}


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
