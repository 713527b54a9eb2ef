"""`headway check`: whether a configuration will do, before anything depends on it."""

from __future__ import annotations

from headway.cli.exit import BAD_CONFIG, Failure
from headway.cli.options import Assignments, ConfigFile
from headway.extras import install_extra


def check(config: ConfigFile = None, assignments: Assignments = None) -> None:
    """Check the settings, the keys, the files, and what each backend can do.

    Nothing is started, fetched or changed. Exit code 2: the settings are wrong; 1: something that
    they name does not work.
    """
    from headway.cli.configuration import read_configuration
    from headway.redaction import masked

    configuration = read_configuration({}, assignments, config)
    try:
        from headway.cli.findings import findings_of
        from headway.cli.gateway import open_without_keys
    except ModuleNotFoundError as error:
        raise Failure(
            f"the gateway needs {error.name}: {install_extra('serve')}", BAD_CONFIG
        ) from None
    settings = configuration.settings
    if settings.exposed:
        raise Failure(open_without_keys(settings.host), BAD_CONFIG)
    findings = findings_of(configuration)
    for about, text, works in findings:
        print(f"{about:10}{'' if works else 'does not work: '}{masked(text)}")
    broken = sum(not finding.works for finding in findings)
    if broken:
        raise Failure(f"{broken} of {len(findings)} do not work; see the lines above")
