{{- /* Names and labels that the objects share. */ -}}

{{- define "wolfpack.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end -}}
{{- end }}

{{- define "wolfpack.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "wolfpack.subject" -}}
- kind: ServiceAccount
  name: {{ include "wolfpack.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
