"""What each account of the platform can and cannot do: (verbs, [name:]resource[/subresource][.group], place).

Places: "" everywhere, system (the platform's namespace), access (the gateway's credentials), mirror (the
gang mirror's), tenant (one virtual cluster's), kube-system.
"""

Asked = list[tuple[str, str, str]]

_OWN = (
    "teams.atoll.dev",
    "profiles.atoll.dev",
    "virtualclusters.atoll.dev",
    "quotarequests.atoll.dev",
)
_ALL = "get list watch create update patch delete"
_WRITE = "create update patch delete"

ALLOWED: dict[str, Asked] = {
    "atoll-api": [
        *((_ALL, resource, "") for resource in _OWN),
        ("get update patch", "teams/status.atoll.dev", ""),
        ("get update patch", "quotarequests/status.atoll.dev", ""),
        ("update", "profiles/status.atoll.dev", ""),
        ("get list watch create", "quotarevisions.atoll.dev", ""),
        ("get list", "nodes", ""),
    ],
    "atoll-gateway": [
        ("get", "virtualclusters.atoll.dev", ""),
        ("get", "profiles.atoll.dev", ""),
        ("list", "nodes", ""),
        ("get", "access-lab:secrets", "access"),
    ],
    "atoll-follower": [
        ("get list watch", "virtualclusters.atoll.dev", ""),
        ("list watch", "statefulsets.apps", ""),
        ("list watch", "resourcequotas", ""),
        ("list watch", "services", ""),
        ("list delete", "leases.coordination.k8s.io", "system"),
        # The gang mirror.
        (_ALL, "podgroups.scheduling.volcano.sh", "tenant"),
        ("list watch", "queues.scheduling.volcano.sh", ""),
        ("get patch", "namespaces", ""),
        ("get list watch", "secrets", "mirror"),
        ("get create update", "gang-mirror:leases.coordination.k8s.io", "system"),
        ("get list watch", "teams.atoll.dev", ""),
        ("update", "teams/status.atoll.dev", ""),
    ],
    "atoll-worker": [
        ("get list watch update patch", "virtualclusters.atoll.dev", ""),
        ("get update patch", "virtualclusters/status.atoll.dev", ""),
        ("get list", "teams.atoll.dev", ""),
        ("update", "teams/status.atoll.dev", ""),
        ("get list", "profiles.atoll.dev", ""),
        ("get list watch patch", "nodes", ""),
        (_ALL, "namespaces", ""),
        (_ALL, "leases.coordination.k8s.io", "system"),
        ("get create update patch delete", "secrets", "access"),
        ("get create update patch delete", "secrets", "mirror"),
        *(
            (_ALL, resource, "tenant")
            for resource in (
                "secrets", "configmaps", "services", "serviceaccounts", "persistentvolumeclaims", "pods",
                "resourcequotas", "limitranges", "statefulsets.apps", "deployments.apps",
                "networkpolicies.networking.k8s.io", "roles.rbac.authorization.k8s.io",
                "rolebindings.rbac.authorization.k8s.io", "poddisruptionbudgets.policy",
            )
        ),
        (_ALL, "clusterroles.rbac.authorization.k8s.io", ""),
        (_ALL, "clusterrolebindings.rbac.authorization.k8s.io", ""),
        (_ALL, "queues.scheduling.volcano.sh", ""),
        ("create patch", "events", "tenant"),
        ("create", "pods/eviction", "tenant"),
    ],
}  # fmt: skip

_FOR_NOBODY: Asked = [
    ("escalate bind", "roles.rbac.authorization.k8s.io", "tenant"),
    ("escalate bind", "clusterroles.rbac.authorization.k8s.io", ""),
    ("impersonate", "users", ""),
    ("impersonate", "serviceaccounts", "kube-system"),
    ("create", "serviceaccounts/token", "kube-system"),
    ("get create", "nodes/proxy", ""),
    ("create delete update", "nodes", ""),
    ("create update patch delete", "validatingadmissionpolicies.admissionregistration.k8s.io", ""),
    (
        "create update patch delete",
        "validatingadmissionpolicybindings.admissionregistration.k8s.io",
        "",
    ),
    ("create", "validatingwebhookconfigurations.admissionregistration.k8s.io", ""),
    ("create update patch delete", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ("create", "persistentvolumes", ""),
    ("approve update", "certificatesigningrequests/approval.certificates.k8s.io", ""),
    ("delete create", "teams.atoll.dev", ""),
]

_NO_HOST: Asked = [
    ("list watch", "secrets", "access"),
    ("get list", "secrets", "tenant"),
    ("get list", "secrets", "kube-system"),
    ("get list", "secrets", "system"),
    ("get list create", "pods", "tenant"),
    ("create", "pods/exec", "tenant"),
    ("create", "pods/eviction", "tenant"),
    ("get list", "configmaps", "tenant"),
    (_WRITE, "namespaces", ""),
    (_WRITE, "statefulsets.apps", "tenant"),
    (_WRITE, "leases.coordination.k8s.io", "system"),
    (_WRITE, "resourcequotas", "tenant"),
    ("patch", "nodes", ""),
    ("update patch", "virtualclusters/status.atoll.dev", ""),
]

DENIED: dict[str, Asked] = {
    "atoll-api": [
        *(entry for entry in _FOR_NOBODY if entry[1] != "teams.atoll.dev"),
        *_NO_HOST,
        ("get", "access-lab:secrets", "access"),
        ("get list", "namespaces", ""),
        ("get", "leases.coordination.k8s.io", "system"),
        ("watch patch", "nodes", ""),
        ("update patch delete", "quotarevisions.atoll.dev", ""),
        ("get patch", "profiles/status.atoll.dev", ""),
    ],
    "atoll-gateway": [
        *_FOR_NOBODY,
        *_NO_HOST,
        (_WRITE, "secrets", "access"),
        (_WRITE, "virtualclusters.atoll.dev", ""),
        ("get list", "teams.atoll.dev", ""),
        ("get watch patch", "nodes", ""),
    ],
    "atoll-follower": [
        *_FOR_NOBODY,
        *(e for e in _NO_HOST if e[1] not in ("leases.coordination.k8s.io", "namespaces")),
        ("create update delete", "namespaces", ""),
        ("get update patch", "leases.coordination.k8s.io", "system"),
        (_ALL, "leases.coordination.k8s.io", "kube-system"),
        (_WRITE, "secrets", "mirror"),
        (_WRITE, "queues.scheduling.volcano.sh", ""),
        ("create update", "configmaps", "tenant"),
        ("get", "access-lab:secrets", "access"),
        (_WRITE, "virtualclusters.atoll.dev", ""),
        ("update patch", "teams.atoll.dev", ""),
    ],
    "atoll-worker": [
        *_FOR_NOBODY,
        ("create delete", "virtualclusters.atoll.dev", ""),
        ("update patch", "teams.atoll.dev", ""),
        (_WRITE, "profiles.atoll.dev", ""),
        ("update patch", "profiles/status.atoll.dev", ""),
        ("get create update delete", "leases.coordination.k8s.io", "kube-system"),
        ("update patch", "nodes/status", ""),
        ("create", "daemonsets.apps", "tenant"),
    ],
}
