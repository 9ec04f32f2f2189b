{{- define "tenant.redisConf" -}}
bind * -::*
port 6379
protected-mode yes
dir /data
# Ray's GCS keeps the only copy of its cluster here: every second to disk, and never an eviction.
appendonly yes
appendfsync everysec
auto-aof-rewrite-percentage 100
auto-aof-rewrite-min-size 64mb
save 60 1000
maxmemory {{ .bytes }}
maxmemory-policy noeviction
tcp-keepalive 60
{{- end }}

{{/* What was given, or what redis.memory asks for: forking for a rewrite may copy every page once. */}}
{{- define "tenant.redisResources" -}}
{{- if .given -}}
{{- toYaml .given -}}
{{- else -}}
requests: {cpu: 50m, memory: {{ .bytes | quote }}}
limits: {cpu: "1", memory: {{ add (mul 2 .bytes) 67108864 | toString | quote }}}
{{- end -}}
{{- end }}
