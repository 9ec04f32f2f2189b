{{/* Labels of every object. */}}
{{- define "atoll.labels" -}}
app.kubernetes.io/name: atoll
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: atoll
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* Name of one part's objects; takes (dict "root" $ "part" "api"). */}}
{{- define "atoll.name" -}}
{{ .root.Release.Name }}-{{ .part }}
{{- end }}

{{/* Labels by which one part's pods are found. */}}
{{- define "atoll.selector" -}}
app.kubernetes.io/name: atoll
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* metadata of a namespaced object of one part. */}}
{{- define "atoll.metadata" -}}
name: {{ include "atoll.name" . }}
namespace: {{ .root.Release.Namespace }}
{{ include "atoll.clusterLabels" . }}
{{- end }}

{{/* metadata of a cluster-wide object of one part: two releases must not share it. */}}
{{- define "atoll.clusterMetadata" -}}
name: {{ include "atoll.name" . }}
{{ include "atoll.clusterLabels" . }}
{{- end }}

{{- define "atoll.clusterLabels" -}}
labels:
  {{- include "atoll.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .part }}
{{- end }}

{{/* The Secret with admin-token and broker-password, or a message that says how to make it. */}}
{{- define "atoll.secretName" -}}
{{- if not .Values.secretName }}
{{- fail (printf "\n\nsecretName is empty. Make the Secret once, then name it:\n\n  kubectl --namespace %s create secret generic atoll \\\n    --from-file=admin-token=<(openssl rand -hex 32 | tr -d '\\n') \\\n    --from-file=broker-password=<(openssl rand -hex 32 | tr -d '\\n')\n  helm ... --set secretName=atoll\n" .Release.Namespace) }}
{{- end }}
{{- .Values.secretName }}
{{- end }}

{{- define "atoll.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* Refuses the tag that means another image tomorrow. */}}
{{- define "atoll.checkImages" -}}
{{- if eq .Values.image.tag "latest" }}
{{- fail "image.tag is latest, which names another image tomorrow: give a version, or image.digest" }}
{{- end }}
{{- if hasSuffix ":latest" .Values.broker.image }}
{{- fail "broker.image has the tag latest, which names another image tomorrow: give a version or a digest" }}
{{- end }}
{{- end }}

{{- define "atoll.publicUrl" -}}
{{- if .Values.publicUrl }}
{{- .Values.publicUrl | trimSuffix "/" }}
{{- else if .Values.ingress.enabled }}
{{- printf "%s://%s" (ternary "https" "http" (ne .Values.ingress.tlsSecret "")) .Values.ingress.host }}
{{- else }}
{{- printf "http://%s.%s.svc:8080" (include "atoll.name" (dict "root" . "part" "api")) .Release.Namespace }}
{{- end }}
{{- end }}

{{- define "atoll.brokerAddress" -}}
{{- if .Values.broker.enabled -}}
{{ include "atoll.name" (dict "root" . "part" "broker") }}:6379
{{- else -}}
{{- if not .Values.broker.external.host }}
{{- fail "broker.enabled is false: name your Redis in broker.external.host" }}
{{- end -}}
{{ .Values.broker.external.host }}:{{ .Values.broker.external.port }}
{{- end }}
{{- end }}

{{/* The bundle as a pod's volume source; empty when there is none. */}}
{{- define "atoll.bundle" -}}
{{- $given := list }}
{{- range list "persistentVolumeClaim" "hostPath" "image" }}
{{- if get $.Values.bundle . }}{{ $given = append $given . }}{{ end }}
{{- end }}
{{- if gt (len $given) 1 }}
{{- fail (printf "bundle has %s: give at most one" (join " and " $given)) }}
{{- end }}
{{- with .Values.bundle }}
{{- if .persistentVolumeClaim }}
persistentVolumeClaim: {claimName: {{ .persistentVolumeClaim | quote }}, readOnly: true}
{{- else if .hostPath }}
hostPath: {path: {{ .hostPath | quote }}, type: Directory}
{{- else if .image }}
image: {reference: {{ .image | quote }}, pullPolicy: IfNotPresent}
{{- end }}
{{- end }}
{{- end }}
