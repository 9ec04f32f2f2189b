{{/* Binds one part's ClusterRole to its ServiceAccount everywhere. */}}
{{- define "atoll.clusterBinding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  {{- include "atoll.clusterMetadata" . | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ include "atoll.name" . }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "atoll.name" . }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}

{{/* Binds a Role of the same name in one namespace; takes "namespace" as well. */}}
{{- define "atoll.binding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ include "atoll.name" . }}
  namespace: {{ .namespace }}
  {{- include "atoll.clusterLabels" . | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: {{ include "atoll.name" . }}}
subjects:
  - {kind: ServiceAccount, name: {{ include "atoll.name" . }}, namespace: {{ .root.Release.Namespace }}}
{{- end }}
