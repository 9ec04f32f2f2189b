"""The sandbox: a host cluster of local processes, for machines without containers."""

from atoll.hosts.sandbox.charts import DEFAULT_CHARTS, pack_charts
from atoll.hosts.sandbox.facade import ProcessState, Sandbox, SandboxHost

__all__ = ["DEFAULT_CHARTS", "ProcessState", "Sandbox", "SandboxHost", "pack_charts"]
