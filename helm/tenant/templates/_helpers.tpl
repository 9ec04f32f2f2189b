{{/* Labels that never change: pods and volume claims keep them for life. */}}
{{- define "tenant.identity" -}}
atoll.dev/team: {{ .Values.team | quote }}
atoll.dev/virtual-cluster: {{ .Values.virtualCluster | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: atoll
{{- end }}

{{/* Labels of every object. */}}
{{- define "tenant.labels" -}}
{{ include "tenant.identity" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* metadata of one object; takes (dict "root" $ "name" name "component" component). */}}
{{- define "tenant.metadata" -}}
name: {{ .name }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tenant.labels" .root | nindent 2 }}
  app.kubernetes.io/name: {{ .name }}
  app.kubernetes.io/component: {{ .component }}
annotations:
  atoll.dev/fence: {{ int64 .root.Values.fence | toString | quote }}
{{- end }}

{{/* Pods that run the team's own work. vcluster sets this label itself; a tenant cannot choose it. */}}
{{- define "tenant.workloads" -}}
vcluster.loft.sh/managed-by: {{ .Values.virtualCluster | quote }}
{{- end }}

{{/* The virtual control plane. vcluster rewrites `release` on the team's pods, so they cannot pose as it. */}}
{{- define "tenant.controlPlane" -}}
app: vcluster
release: {{ .Values.virtualCluster | quote }}
{{- end }}

{{/* The virtual cluster's CoreDNS: only pods of the virtual kube-system can be it. */}}
{{- define "tenant.dns" -}}
k8s-app: vcluster-kube-dns
vcluster.loft.sh/namespace: kube-system
{{ include "tenant.workloads" . }}
{{- end }}

{{/* Redis pods. `release` for the reason above; the dot keeps it apart from every vcluster's name. */}}
{{- define "tenant.redis" -}}
app: redis
release: atoll.redis
{{- end }}

{{- define "tenant.sentinel" -}}
app: redis-sentinel
release: atoll.redis
{{- end }}

{{/* Redis and its Sentinels. */}}
{{- define "tenant.anyRedis" -}}
release: atoll.redis
{{- end }}

{{/* Bytes of a quantity that is a whole number with or without a unit. */}}
{{- define "tenant.bytes" -}}
{{- if kindIs "string" . -}}
{{- $unit := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 -}}
{{- mul (regexFind "^[0-9]+" . | int64) (get $unit (regexFind "[A-Za-z]+$" .)) -}}
{{- else -}}
{{- int64 . -}}
{{- end -}}
{{- end }}
