{{/*
One process of the platform: its ServiceAccount, Service, Deployment and disruption budget.
Takes (dict "root" $ "part" "api" "command" (list ...) "port" 8080 "portName" "http" "health" "/path"
"secrets" (list "admin-token" "broker-password") "bundle" true "extraEnv" (dict)).
*/}}
{{- define "atoll.process" -}}
{{- $root := .root }}
{{- $values := get .root.Values .part }}
{{- $bundle := and .bundle (include "atoll.bundle" .root) }}
{{- $selector := include "atoll.selector" . }}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "atoll.metadata" . | nindent 2 }}
# Only the pods below get its token.
automountServiceAccountToken: false
---
apiVersion: v1
kind: Service
metadata:
  {{- include "atoll.metadata" . | nindent 2 }}
spec:
  type: ClusterIP
  selector:
    {{- $selector | nindent 4 }}
  ports:
    - {name: {{ .portName }}, port: {{ .port }}, targetPort: {{ .portName }}, protocol: TCP}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "atoll.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "atoll.metadata" . | nindent 2 }}
spec:
  replicas: {{ $values.replicas }}
  {{- if eq .part "worker" }}
  # An older version leaves alone what a newer one has written; two builds of one version cannot tell.
  strategy: {type: Recreate}
  {{- end }}
  selector:
    matchLabels:
      {{- $selector | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "atoll.labels" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .part }}
      annotations:
        atoll.dev/config-hash: {{ include "atoll.settings" .root | sha256sum | quote }}
    spec:
      serviceAccountName: {{ include "atoll.name" . }}
      automountServiceAccountToken: true
      enableServiceLinks: false
      terminationGracePeriodSeconds: {{ .grace | default 30 }}
      {{- include "atoll.placement" . | nindent 6 }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 10001
        runAsGroup: 10001
        fsGroup: 10001
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .part }}
          image: {{ include "atoll.image" .root | quote }}
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          command: {{ toJson .command }}
          envFrom:
            - configMapRef: {name: {{ .root.Release.Name }}-settings}
          env:
            # Everything that wants to write has only /tmp and /run/atoll, both gone with the pod.
            - {name: HOME, value: /tmp}
            - {name: ATOLL_CACHE, value: /tmp/atoll}
            # glibc keeps a heap for every thread, and what was free in it once it held something large.
            - {name: MALLOC_ARENA_MAX, value: "2"}
            - {name: MALLOC_TRIM_THRESHOLD_, value: "131072"}
            {{- range $name, $value := .env }}
            - {name: {{ $name }}, value: {{ $value | toString | quote }}}
            {{- end }}
            {{- if has "broker-password" .secrets }}
            - name: BROKER_PASSWORD
              valueFrom: {secretKeyRef: {name: {{ include "atoll.secretName" $root | quote }}, key: broker-password}}
            - name: ATOLL_BROKER_URL
              value: {{ printf "redis://:$(BROKER_PASSWORD)@%s/0" (include "atoll.brokerAddress" $root) | quote }}
            {{- end }}
            {{- if has "admin-token" .secrets }}
            - {name: ATOLL_ADMIN_TOKEN_FILE, value: /etc/atoll/admin-token}
            {{- end }}
            {{- if $bundle }}
            - {name: ATOLL_CHARTS, value: /bundle/charts}
            {{- end }}
          ports:
            - {name: {{ .portName }}, containerPort: {{ .port }}, protocol: TCP}
          startupProbe:
            {{- include "atoll.probe" . | nindent 12 }}
            periodSeconds: 1
            timeoutSeconds: 3
            failureThreshold: 60
          readinessProbe:
            {{- include "atoll.probe" . | nindent 12 }}
            periodSeconds: 5
            timeoutSeconds: 3
          livenessProbe:
            {{- include "atoll.probe" . | nindent 12 }}
            periodSeconds: 15
            timeoutSeconds: 10
            failureThreshold: 4
          resources: {{- toYaml $values.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            - {name: run, mountPath: /run/atoll}
            {{- if has "admin-token" .secrets }}
            - {name: admin-token, mountPath: /etc/atoll, readOnly: true}
            {{- end }}
            {{- if $bundle }}
            - {name: bundle, mountPath: /bundle, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {sizeLimit: 1Gi}
        - name: run
          emptyDir: {medium: Memory, sizeLimit: 64Mi}
        {{- if has "admin-token" .secrets }}
        - name: admin-token
          secret:
            secretName: {{ include "atoll.secretName" $root | quote }}
            defaultMode: 0440
            items: [{key: admin-token, path: admin-token}]
        {{- end }}
        {{- if $bundle }}
        - name: bundle
          {{- $bundle | nindent 10 }}
        {{- end }}
{{- end }}

{{- define "atoll.probe" -}}
httpGet: {path: {{ .health }}, port: {{ .portName }}}
{{- end }}

{{/* Where the pods of one part may run. */}}
{{- define "atoll.placement" -}}
{{- $values := .root.Values }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "atoll.selector" . | nindent 8 }}
{{- with $values.image.pullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- range $part := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $values $part }}
{{ $part }}: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end }}
