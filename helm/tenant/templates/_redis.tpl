{{/* Three pods: a primary, two that follow it, and Sentinels that choose. */}}
{{- define "tenant.redisHa" -}}
{{- if gt (int .Values.redis.replicas) 1 }}yes{{ end -}}
{{- end }}

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
{{- if .ha }}
# A primary that nobody follows takes no writes: what it said yes to would be lost with it.
min-replicas-to-write 1
min-replicas-max-lag 10
repl-diskless-sync-delay 0
repl-timeout 20
{{- end }}
{{- end }}

{{- define "tenant.sentinelConf" -}}
bind * -::*
port 26379
protected-mode yes
dir /run/redis
aclfile /run/redis/users.acl
sentinel deny-scripts-reconfig yes
{{- end }}

{{/* Pods of the same kind on different nodes, where there are enough of them. */}}
{{- define "tenant.redisAffinity" -}}
{{- if .given -}}
{{- toYaml .given -}}
{{- else -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{- toYaml .labels | nindent 12 }}
{{- end -}}
{{- end }}

{{- define "tenant.redisPodSecurity" -}}
runAsNonRoot: true
runAsUser: 999
runAsGroup: 999
fsGroup: 999
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "tenant.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
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
