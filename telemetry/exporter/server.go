// SPDX-License-Identifier: Apache-2.0

package exporter

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"k8s.io/klog/v2"

	"wolfpack/telemetry/render"
	"wolfpack/version"
)

// pages are what is served. All of it is made from snapshots.
type pages struct{ targets []*target }

func newHandler(targets []*target) http.Handler {
	p := pages{targets}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics(p.all()))
	mux.HandleFunc("GET /probe", p.probe)
	mux.HandleFunc("GET /healthz", p.healthz)
	mux.HandleFunc("GET /report", p.report)
	mux.HandleFunc("GET /{$}", p.index)
	return mux
}

// all has the metrics of all vCenters and of this process.
func (p pages) all() *prometheus.Registry {
	registry := prometheus.NewPedanticRegistry()
	about := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "wolfpack_build_info", Help: "Always 1; the labels say which build of Wolfpack this is.",
		ConstLabels: prometheus.Labels{"version": version.Get().Version, "build": version.Get().Build, "commit": version.Get().Commit},
	}, func() float64 { return 1 })
	registry.MustRegister(
		censuses(p.targets...), about, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return registry
}

// censuses collects what is known of vCenters.
func censuses(targets ...*target) prometheus.Collector {
	return render.NewCollector(func() (all []render.Census) {
		for _, t := range targets {
			all = append(all, t.snapshot().Census)
		}
		return all
	})
}

// metrics answers in the format that is asked for: OpenMetrics, or Prometheus' own.
func metrics(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorLog: complaint{}})
}

// complaint logs what promhttp cannot tell whoever scrapes.
type complaint struct{}

// Println logs a line; a promhttp.Logger has it.
func (complaint) Println(v ...any) {
	klog.Background().Info("A scrape went wrong", "reason", fmt.Sprint(v...))
}

// probe has the metrics of one vCenter. Only one that is configured can be asked for.
func (p pages) probe(w http.ResponseWriter, r *http.Request) {
	if t := p.chosen(w, r); t != nil {
		registry := prometheus.NewPedanticRegistry()
		registry.MustRegister(censuses(t))
		metrics(registry).ServeHTTP(w, r)
	}
}

// chosen is the vCenter that the query parameter target names, or the only one. If there is none it has been said.
func (p pages) chosen(w http.ResponseWriter, r *http.Request) *target {
	name := r.URL.Query().Get("target")
	if name == "" && len(p.targets) == 1 {
		return p.targets[0]
	}
	if i := slices.IndexFunc(p.targets, func(t *target) bool { return t.vc.Name == name }); i >= 0 {
		return p.targets[i]
	}
	var names []string
	for _, t := range p.targets {
		names = append(names, t.vc.Name)
	}
	status, what := http.StatusNotFound, fmt.Sprintf("no vCenter %q is configured", name)
	if name == "" {
		status, what = http.StatusBadRequest, "no target is given"
	}
	http.Error(w, what+"; want ?target= with one of: "+strings.Join(names, ", "), status)
	return nil
}

// healthz says whether all reports are fresh. A restart does not mend one that is not: this is for a readiness probe and for
// whoever watches, not for a liveness probe.
func (p pages) healthz(w http.ResponseWriter, _ *http.Request) {
	var stale []string
	for _, t := range p.targets {
		if why := t.stale(); why != "" {
			stale = append(stale, t.vc.Name+": "+why)
		}
	}
	if len(stale) > 0 {
		http.Error(w, strings.Join(stale, "\n"), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// stale says why the report of a vCenter is not fresh, or "" if it is.
func (t *target) stale() string {
	limit := 3*t.options.Interval + grace
	last := t.snapshot().last
	switch {
	case last.IsZero() && time.Since(t.began) > limit:
		return fmt.Sprintf("no report since the start, %s ago", time.Since(t.began).Round(time.Second))
	case last.IsZero():
		return "no report yet"
	case time.Since(last) > limit:
		return fmt.Sprintf("the last report is %s old", time.Since(last).Round(time.Second))
	default:
		return ""
	}
}

// grace is how much later than expected a report may come.
const grace = 30 * time.Second

// report is the page of one vCenter.
func (p pages) report(w http.ResponseWriter, r *http.Request) {
	t := p.chosen(w, r)
	if t == nil {
		return
	}
	now := t.snapshot()
	if now.Report == nil {
		http.Error(w, "there is no report of "+t.vc.Name+" yet", http.StatusServiceUnavailable)
		return
	}
	var page bytes.Buffer
	if err := render.HTML(&page, now.Report, now.Earlier); err != nil {
		klog.FromContext(r.Context()).Error(err, "Make the page", "vcenter", t.vc.Name)
		http.Error(w, "the page cannot be made: "+err.Error(), http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Cache-Control", "no-cache")
	header.Set("X-Content-Type-Options", "nosniff")
	_, _ = page.WriteTo(w)
}

var indexPage = template.Must(template.New("index").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Wolfpack telemetry</title>
<body style="font: 1rem system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; color-scheme: light dark">
<h1>Wolfpack telemetry</h1>
<ul>{{range .}}
<li><a href="report?target={{.}}">{{.}}</a> · <a href="probe?target={{.}}">its metrics</a></li>{{end}}
</ul>
<p><a href="metrics">Metrics of all</a> · <a href="healthz">Health</a></p>
</body></html>
`))

// index is for who comes with a browser.
func (p pages) index(w http.ResponseWriter, _ *http.Request) {
	var names []string
	for _, t := range p.targets {
		names = append(names, t.vc.Name)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = indexPage.Execute(w, names)
}
