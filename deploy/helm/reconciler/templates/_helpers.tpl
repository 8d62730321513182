{{- define "reconciler.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "reconciler.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "reconciler.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "reconciler.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "reconciler.selector" -}}
app.kubernetes.io/name: {{ include "reconciler.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "reconciler.labels" -}}
{{ include "reconciler.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "reconciler.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "reconciler.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "reconciler.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- .repository }}@{{ .digest }}
{{- else }}
{{- .repository }}:{{ default $.Chart.AppVersion .tag }}
{{- end }}
{{- end }}
{{- end }}

{{- define "reconciler.postgres" -}}
{{- if dig "state" "postgres" "" .Values.config }}true{{ end }}
{{- end }}

{{/* The config with what follows from the pod. */}}
{{- define "reconciler.config" -}}
{{- $pod := dict }}
{{- if not .Values.cronJob.enabled }}
{{- $_ := set $pod "http" (dict "address" ":8080") }}
{{- end }}
{{- /* Folders in the volume, not the volume itself: the group may write to a volume,
       and must not write to these two, which the process creates for itself alone. */}}
{{- if and .Values.persistence.enabled (not (include "reconciler.postgres" .)) }}
{{- $_ := set $pod "state" (dict "dir" "/var/lib/reconciler/state") }}
{{- end }}
{{- if and .Values.persistence.enabled (not (dig "tokens" "command" "" .Values.config)) }}
{{- $_ := set $pod "tokens" (dict "dir" "/var/lib/reconciler/tokens") }}
{{- end }}
{{- mustMerge (deepCopy .Values.config) $pod | toYaml }}
{{- end }}

{{- define "reconciler.securityContext" -}}
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
{{- end }}

{{- define "reconciler.pod" -}}
serviceAccountName: {{ include "reconciler.serviceAccountName" . }}
automountServiceAccountToken: false
enableServiceLinks: false
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  # Secrets are mounted as root's and readable by this group. It also makes a volume
  # writable.
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch # leaves the private folders in the volume alone
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.sidecars }}
initContainers:
  {{- range . }}
  - {{- mustMerge (deepCopy .) (dict "restartPolicy" "Always" "image" (include "reconciler.image" $) "imagePullPolicy" $.Values.image.pullPolicy "securityContext" (include "reconciler.securityContext" $ | fromYaml)) | toYaml | nindent 4 }}
  {{- end }}
{{- end }}
containers:
  - name: reconciler
    image: {{ include "reconciler.image" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- if .Values.cronJob.enabled }}
    args: [run, --once, --config, /etc/reconciler/reconciler.yaml]
    {{- else }}
    args: [run, --config, /etc/reconciler/reconciler.yaml]
    ports: [{name: http, containerPort: 8080}]
    # Until the store is open, which an upgrade may have to convert.
    startupProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 2, failureThreshold: 150}
    livenessProbe: {httpGet: {path: /healthz, port: http}, periodSeconds: 30, timeoutSeconds: 5, failureThreshold: 5}
    readinessProbe: {httpGet: {path: /readyz, port: http}, periodSeconds: 10, timeoutSeconds: 5}
    {{- end }}
    {{- with .Values.env }}
    env: {{- toYaml . | nindent 6 }}
    {{- end }}
    resources: {{- toYaml .Values.resources | nindent 6 }}
    securityContext: {{- include "reconciler.securityContext" . | nindent 6 }}
    volumeMounts:
      - {name: config, mountPath: /etc/reconciler, readOnly: true}
      {{- if .Values.secrets }}
      - {name: secrets, mountPath: /run/secrets, readOnly: true}
      {{- end }}
      {{- if .Values.persistence.enabled }}
      - {name: data, mountPath: /var/lib/reconciler}
      {{- end }}
      - {name: tmp, mountPath: /tmp}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - {name: config, configMap: {name: {{ include "reconciler.fullname" . }}}}
  {{- with .Values.secrets }}
  - name: secrets
    projected:
      defaultMode: 0440
      sources: {{- toYaml . | nindent 8 }}
  {{- end }}
  {{- if .Values.persistence.enabled }}
  - {name: data, persistentVolumeClaim: {claimName: {{ default (include "reconciler.fullname" .) .Values.persistence.existingClaim }}}}
  {{- end }}
  - {name: tmp, emptyDir: {}} # fetches of large repositories
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml .Values.topologySpreadConstraints | nindent 2 }}
{{- else if and (gt (int .Values.replicas) 1) (not .Values.cronJob.enabled) }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "reconciler.selector" . | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- end }}

{{- define "reconciler.podMetadata" -}}
annotations:
  checksum/config: {{ print (include "reconciler.config" .) (toYaml .Values.files) | sha256sum }}
  {{- with .Values.podAnnotations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
labels:
  {{- include "reconciler.labels" . | nindent 2 }}
  {{- with .Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* The given addresses, or the internet without private networks. */}}
{{- define "reconciler.cidrs" -}}
{{- range . }}
- ipBlock: {cidr: {{ . | quote }}}
{{- else }}
- ipBlock:
    cidr: 0.0.0.0/0
    except: [10.0.0.0/8, 100.64.0.0/10, 127.0.0.0/8, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16]
- ipBlock:
    cidr: ::/0
    except: ["fc00::/7", "fe80::/10"]
{{- end }}
{{- end }}

{{/* The port of a repository's URL. */}}
{{- define "reconciler.gitPort" -}}
{{- if regexMatch "^[A-Za-z]+://" . }}
{{- $host := (urlParse .).host }}
{{- if regexMatch ":[0-9]+$" $host }}
{{- regexFind "[0-9]+$" $host }}
{{- else if regexMatch "^(?i)ssh://" . }}22{{ else }}443{{ end }}
{{- else }}22{{ end }}
{{- end }}
