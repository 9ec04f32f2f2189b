{{- define "atoll.settings" -}}
ATOLL_NAMESPACE: {{ .Release.Namespace | quote }}
ATOLL_ACCESS_NAMESPACE: {{ .Values.accessNamespace.name | quote }}
ATOLL_API_URL: {{ include "atoll.publicUrl" . | quote }}
ATOLL_GATEWAY_URL: {{ printf "http://%s:8081" (include "atoll.name" (dict "root" . "part" "gateway")) | quote }}
ATOLL_NODE_LABEL: {{ .Values.nodeLabel | quote }}
ATOLL_LISTEN_HOST: 0.0.0.0
ATOLL_SERVICE: "1"
ATOLL_REACH: service
ATOLL_RUNTIME_DIR: /run/atoll
ATOLL_LOG_LEVEL: {{ .Values.log.level | quote }}
ATOLL_LEASE_SECONDS: {{ .Values.lease | toString | quote }}
ATOLL_SWEEP_SECONDS: {{ .Values.sweep | toString | quote }}
ATOLL_RESYNC_SECONDS: {{ .Values.resync | toString | quote }}
{{- end }}
