{{- define "tenant.dnsPorts" -}}
- {protocol: UDP, port: 53}
- {protocol: TCP, port: 53}
- {protocol: UDP, port: 1053}
- {protocol: TCP, port: 1053}
{{- end }}

{{- define "tenant.hostDns" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ .Values.network.hostDns.namespace | quote }}
  podSelector:
    matchLabels:
      {{- toYaml .Values.network.hostDns.podLabels | nindent 6 }}
{{- end }}

{{- define "tenant.redisClients" -}}
matchLabels:
  {{- include "tenant.workloads" . | nindent 2 }}
matchExpressions:
  - {key: ray.io/node-type, operator: In, values: {{ toJson .Values.network.redisClients }}}
{{- end }}

{{- define "tenant.redisPorts" -}}
- {protocol: TCP, port: 6379}
{{- if include "tenant.redisHa" . }}
- {protocol: TCP, port: 26379}
{{- end }}
{{- end }}
