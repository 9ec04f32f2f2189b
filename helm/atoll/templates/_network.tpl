{{/* Names, and the host's API server (with chart repositories on 443, when there is no bundle). */}}
{{- define "atoll.hostEgress" -}}
- ports:
    - {protocol: UDP, port: 53}
    - {protocol: TCP, port: 53}
  to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .Values.network.hostDns.namespace | quote }}
      podSelector:
        matchLabels:
          {{- toYaml .Values.network.hostDns.podLabels | nindent 10 }}
- ports:
    {{- range .Values.network.hostApiServer.ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
  to:
    {{- range .Values.network.hostApiServer.blocks }}
    - ipBlock: {{- toYaml . | nindent 8 }}
    {{- end }}
{{- end }}

{{/* The broker in this release, or one of the admin's anywhere. */}}
{{- define "atoll.brokerEgress" -}}
{{- if .Values.broker.enabled -}}
- ports: [{protocol: TCP, port: 6379}]
  to:
    - podSelector:
        matchLabels:
          {{- include "atoll.selector" (dict "root" . "part" "broker") | nindent 10 }}
{{- else -}}
- ports: [{protocol: TCP, port: {{ .Values.broker.external.port }}}]
{{- end }}
{{- end }}
