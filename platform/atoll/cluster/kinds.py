"""The Kubernetes kinds we touch, by one small record each."""

from dataclasses import dataclass

from atoll.resources.meta import GROUP, VERSION


@dataclass(frozen=True)
class Kind:
    """A kind as the API server addresses it."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the bare version of the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version


def _core(kind: str, plural: str, namespaced: bool = True) -> Kind:
    return Kind("", "v1", kind, plural, namespaced)


TEAM = Kind(GROUP, VERSION, "Team", "teams", False)
PROFILE = Kind(GROUP, VERSION, "Profile", "profiles", False)
VIRTUAL_CLUSTER = Kind(GROUP, VERSION, "VirtualCluster", "virtualclusters", False)
QUOTA_REQUEST = Kind(GROUP, VERSION, "QuotaRequest", "quotarequests", False)
QUOTA_REVISION = Kind(GROUP, VERSION, "QuotaRevision", "quotarevisions", False)

NAMESPACE = _core("Namespace", "namespaces", False)
NODE = _core("Node", "nodes", False)
POD = _core("Pod", "pods")
SERVICE = _core("Service", "services")
SECRET = _core("Secret", "secrets")
CONFIG_MAP = _core("ConfigMap", "configmaps")
SERVICE_ACCOUNT = _core("ServiceAccount", "serviceaccounts")
PERSISTENT_VOLUME_CLAIM = _core("PersistentVolumeClaim", "persistentvolumeclaims")
RESOURCE_QUOTA = _core("ResourceQuota", "resourcequotas")
LIMIT_RANGE = _core("LimitRange", "limitranges")
EVENT = _core("Event", "events")
POD_DISRUPTION_BUDGET = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
STATEFUL_SET = Kind("apps", "v1", "StatefulSet", "statefulsets")
DEPLOYMENT = Kind("apps", "v1", "Deployment", "deployments")
LEASE = Kind("coordination.k8s.io", "v1", "Lease", "leases")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io", "v1", "ClusterRoleBinding", "clusterrolebindings", False
)
ROLE = Kind("rbac.authorization.k8s.io", "v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
CRD = Kind(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False
)
VALIDATING_POLICY = Kind(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy",
    "validatingadmissionpolicies", False,
)  # fmt: skip
VALIDATING_BINDING = Kind(
    "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding",
    "validatingadmissionpolicybindings", False,
)  # fmt: skip
MUTATING_POLICY = Kind(
    "admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies", False,
)  # fmt: skip
MUTATING_BINDING = Kind(
    "admissionregistration.k8s.io", "v1", "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings", False,
)  # fmt: skip
MUTATING_POLICY_BETA = Kind(
    "admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicy",
    "mutatingadmissionpolicies", False,
)  # fmt: skip
MUTATING_BINDING_BETA = Kind(
    "admissionregistration.k8s.io", "v1beta1", "MutatingAdmissionPolicyBinding",
    "mutatingadmissionpolicybindings", False,
)  # fmt: skip
PRIORITY_CLASS = Kind("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses", False)
RAY_CLUSTER = Kind("ray.io", "v1", "RayCluster", "rayclusters")
RAY_JOB = Kind("ray.io", "v1", "RayJob", "rayjobs")
RAY_SERVICE = Kind("ray.io", "v1", "RayService", "rayservices")
QUEUE = Kind("scheduling.volcano.sh", "v1beta1", "Queue", "queues", False)
POD_GROUP = Kind("scheduling.volcano.sh", "v1beta1", "PodGroup", "podgroups")

_BY_NAME = {
    (kind.api_version, kind.kind): kind
    for kind in list(globals().values())
    if isinstance(kind, Kind)
}


def kind_of(manifest: dict[str, object]) -> Kind:
    """The kind of a manifest. Raises KeyError for one that is not in this file."""
    return _BY_NAME[(str(manifest["apiVersion"]), str(manifest["kind"]))]
