"""Every setting, from the environment (`ATOLL_` prefix) or its default. Read once per process."""

from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

Reach = Literal["service", "cluster-ip", "kubeconfig"]


class Settings(BaseSettings):
    """All processes share these; each uses its part."""

    model_config = SettingsConfigDict(env_prefix="ATOLL_", extra="ignore")

    kubeconfig: Path | None = Field(
        None, description="Host kubeconfig; None means in-cluster or KUBECONFIG"
    )
    namespace: str = Field(
        "atoll-system", description="Host namespace of leases and of the platform"
    )
    access_namespace: str = Field(
        "atoll-access", description="Host namespace of the gateway's short-lived tenant credentials"
    )
    broker_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Celery broker; may be wiped at any time"
    )
    charts: Path | None = Field(
        None, description="Bundle folder with charts; None means their repositories"
    )
    helm: str = Field("helm", description="The helm executable, >= 3.20.2 or >= 4.1.4")
    tenant_chart: Path | None = Field(
        None, description="Folder of helm/tenant; None means the one beside the code"
    )
    node_label: str = Field(
        "atoll.dev/node-template", description="Host node label that names the template"
    )
    reach: Reach = Field(
        "service",
        description="How the worker and gateway reach a virtual cluster: its Service's DNS name, its "
        "ClusterIP (from a node), or the address in its kubeconfig (sandbox)",
    )

    api_server_from: str = Field(
        "",
        description="More address blocks, by commas, from which virtual API servers are reached beside "
        "their own namespace and the platform's",
    )

    api_url: str = Field(
        "http://127.0.0.1:8080", description="Where people reach the API and portal"
    )
    kubernetes_url: str | None = Field(
        None,
        description="Where kubectl reaches the ways into virtual clusters, without /v1; None means "
        "api_url. kubectl sends tokens over https only",
    )
    kubernetes_ca_file: Path | None = Field(
        None, description="Authority (PEM) of kubernetes_url; None means those the client trusts"
    )
    gateway_url: str = Field(
        "http://127.0.0.1:8081", description="Where the API reaches the gateway"
    )
    admin_token: SecretStr | None = Field(None, description="The static admin token")
    admin_token_file: Path | None = Field(None, description="File with the static admin token")

    lease_seconds: float = Field(6.0, description="How long a silent worker stays the writer")
    take_over_newer: bool = Field(
        False,
        description="Whether a worker works on at what a newer version has written: for a rollback",
    )
    sweep_seconds: float = Field(
        2.0, description="How often the sweeper looks for work without a writer"
    )
    resync_seconds: float = Field(
        300.0, description="How often a converged virtual cluster is looked at"
    )
    listen_host: str = Field("127.0.0.1", description="Address every process of ours listens on")
    listen_port: int = Field(0, description="Port of the API or gateway; 0 lets the system choose")
    listen_tls_port: int = Field(
        0, description="Port of the gateway's second, TLS listener; 0 lets the system choose"
    )
    tls_cert_file: Path | None = Field(
        None, description="Certificate chain (PEM) of the gateway's TLS listener; None: it has none"
    )
    tls_key_file: Path | None = Field(
        None, description="Private key (PEM) of the gateway's TLS listener"
    )
    metrics_port: int | None = Field(
        None, description="Port of /metrics for processes without HTTP; 0 = any"
    )
    sandbox: str | None = Field(
        None,
        description="Set on a sandbox: the sentence every page shows, saying what is simulated",
    )
    runtime_dir: Path | None = Field(
        None, description="Folder where a process writes its port file"
    )
    log_level: str = "INFO"

    @field_validator("api_server_from")
    @classmethod
    def _blocks(cls, text: str) -> str:
        """Address blocks, each in its usual form; ValueError names one that is none."""
        return ",".join(str(ip_network(b.strip())) for b in text.split(",") if b.strip())

    @property
    def mirror_namespace(self) -> str:
        """Host namespace of the gang mirror's short-lived tenant credentials, apart from the gateway's."""
        return f"{self.access_namespace}-mirror"

    def admin_token_value(self) -> str | None:
        """The admin token from the setting or its file."""
        if self.admin_token:
            return self.admin_token.get_secret_value()
        if self.admin_token_file and self.admin_token_file.exists():
            return self.admin_token_file.read_text().strip()
        return None


@lru_cache
def get_settings() -> Settings:
    """The settings of this process."""
    return Settings()
