{{- define "sandbox.labels" -}}
app: vcluster
chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
release: {{ .Release.Name | quote }}
heritage: {{ .Release.Service | quote }}
{{- end }}

{{- define "sandbox.persistent" -}}
{{- if ne (toString .Values.controlPlane.statefulSet.persistence.volumeClaim.enabled) "false" }}yes{{ end }}
{{- end }}

{{- define "sandbox.image" -}}
{{- $registry := .image.registry | default "" -}}
{{- if .registry }}{{ $registry = trimSuffix "/" .registry }}{{ end -}}
{{- if $registry }}{{ $registry }}/{{ end }}{{ .image.repository }}:{{ .image.tag | default .tag }}
{{- end }}
