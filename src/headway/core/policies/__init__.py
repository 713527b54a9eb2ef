"""The policies by name. A new one is one file and one line here."""

from headway.core.policies.atlas import Atlas
from headway.core.policies.boost import Boost
from headway.core.policies.edf import Edf
from headway.core.policies.fcfs import Fcfs
from headway.core.policies.gittins import Gittins
from headway.core.policies.hrrn import Hrrn
from headway.core.policies.ltr import Ltr
from headway.core.policies.mlfq import Mlfq
from headway.core.policies.plas import Plas
from headway.core.policies.policy import Policy
from headway.core.policies.priority import Priority
from headway.core.policies.run_fcfs import RunFcfs
from headway.core.policies.run_gittins import RunGittins
from headway.core.policies.sjf import Sjf
from headway.core.policies.slack import Slack
from headway.core.policies.srpt import Srpt
from headway.core.policies.trail import Trail
from headway.core.policies.urgency import Urgency
from headway.core.settings import SchedulerSettings

POLICIES: dict[str, type[Policy]] = {
    "fcfs": Fcfs,
    "sjf": Sjf,
    "srpt": Srpt,
    "ltr": Ltr,
    "trail": Trail,
    "edf": Edf,
    "slack": Slack,
    "hrrn": Hrrn,
    "boost": Boost,
    "mlfq": Mlfq,
    "gittins": Gittins,
    "priority": Priority,
    "run-fcfs": RunFcfs,
    "plas": Plas,
    "atlas": Atlas,
    "run-gittins": RunGittins,
    "urgency": Urgency,
}


def make_policy(settings: SchedulerSettings) -> Policy:
    """The policy that `settings` name. Raises ValueError if there is none of that name."""
    if settings.policy not in POLICIES:
        known = ", ".join(POLICIES)
        raise ValueError(f"unknown policy {settings.policy!r}; the policies are {known}")
    return POLICIES[settings.policy](settings)


__all__ = ["POLICIES", "Policy", "make_policy"]
