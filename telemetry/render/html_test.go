// SPDX-License-Identifier: Apache-2.0

package render_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"wolfpack/telemetry"
	"wolfpack/telemetry/render"
	"wolfpack/telemetry/telemetrytest"
)

// node is an element of a page.
type node struct{ *html.Node }

// pageOf parses the page of a report.
func pageOf(t *testing.T, report *telemetry.Report, earlier ...*telemetry.Report) node {
	t.Helper()
	root, err := html.Parse(strings.NewReader(written(t, render.FormatHTML, report, earlier...)))
	require.NoError(t, err)
	return node{root}
}

// all are the elements below that a test holds for.
func (n node) all(is func(node) bool) []node {
	var found []node
	for d := range n.Descendants() {
		if e := (node{d}); d.Type == html.ElementNode && is(e) {
			found = append(found, e)
		}
	}
	return found
}

func (n node) attr(name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// one is the only element of a tag, or with an attribute's value.
func (n node) one(t *testing.T, what string, is func(node) bool) node {
	t.Helper()
	found := n.all(is)
	require.Len(t, found, 1, what)
	return found[0]
}

func tag(name string) func(node) bool { return func(n node) bool { return n.Data == name } }
func with(name, value string) func(node) bool {
	return func(n node) bool { return n.attr(name) == value }
}

func class(name string) func(node) bool {
	return func(n node) bool { return slices.Contains(strings.Fields(n.attr("class")), name) }
}

// text is what a reader reads, with single spaces.
func (n node) text() string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent.Data != "title" {
			b.WriteString(d.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func tile(t *testing.T, page node, n int) node {
	t.Helper()
	return page.one(t, "tile", with("data-metric", strconv.Itoa(n)))
}

func TestPageHasTenTiles(t *testing.T) {
	page := pageOf(t, telemetrytest.Report(), telemetrytest.History(30)...)
	require.Len(t, page.all(class("tile")), 10)
	for i, want := range []struct{ id, value, says, change string }{
		{"hosts", "16", "16", "no change"},
		{"host-versions", "3 versions", "3 versions", "7.0.3 −1, 8.0.3 +1"},
		{"vcenter", "8.0.3", "8.0.3", "no change"},
		{"products", "Harbor, Admiral", "Harbor, Admiral", "was Harbor v2.11.1"},
		{"vms", "986", "986", "+21"},
		{"vchs", "14", "14", "no change"},
		{"container-vms", "653", "653", "+14"},
		{"host-vchs", "0.88", "0.9 mean", "no change"},
		{"vch-container-vms", "46.64", "46.6 mean", "+0.9"},
		{"lifetime", "22493", "6h14m mean", "−8m7s"},
	} {
		tile := tile(t, page, i+1)
		require.Equal(t, "metric-"+want.id, tile.attr("id"))
		require.Equal(t, want.value, tile.attr("data-value"), want.id)
		require.Equal(t, want.says, tile.one(t, "value", class("value")).text())
		require.Equal(t, want.change, tile.one(t, "change", class("change")).text(), want.id)
	}
	require.Equal(t, "Photon v1.6.0 357 Photon v1.5.6 85 Photon v1.5.0-rc2 81 Windows v1.6.0 49 and 5 more", tile(t, page, 7).one(t, "list", tag("ul")).text())
	require.Equal(t, "vcenter.example.com", page.one(t, "heading", tag("h1")).text())
	require.Contains(t, page.one(t, "header", tag("header")).text(), "Changes since 1 March 2026, 09:30 UTC")
	require.Equal(t, "Complete", page.one(t, "verdict", with("id", "verdict")).text())
}

func TestFirstPageHasNoChanges(t *testing.T) {
	page := pageOf(t, telemetrytest.Report())
	require.Empty(t, page.all(class("change")))
	require.Empty(t, page.all(class("spark")))
	require.Contains(t, page.text(), "This is the first report that is known of this vCenter")
	require.NotContains(t, page.text(), "Changes since")
}

// chart are the names and counts of the bars of a chart.
func chart(t *testing.T, page node, id string) []string {
	t.Helper()
	var bars []string
	for _, li := range page.one(t, id, with("id", id)).all(tag("li")) {
		require.Equal(t, strings.ReplaceAll(li.one(t, "count", class("count")).text(), ",", ""), li.attr("data-count"))
		bars = append(bars, li.attr("data-name")+" "+li.attr("data-count"))
	}
	return bars
}

func TestPageDrawsBars(t *testing.T) {
	page := pageOf(t, telemetrytest.Report())
	require.Equal(t, []string{"edge-01 8", "prod-01 8"}, chart(t, page, "chart-cluster-hosts"))
	require.Equal(t, []string{"7.0.3, build 23794027 8", "8.0.2, build 22380479 4", "8.0.3, build 24022510 4"}, chart(t, page, "chart-host-versions"))
	require.Equal(t, []string{"v1.5.0-rc2 7", "v1.6.0 4", "v1.5.6 3"}, chart(t, page, "chart-vch-versions"))
	require.Len(t, chart(t, page, "chart-host-vchs"), 16, "hosts without a VCH are shown")
	vchs := chart(t, page, "chart-vch-container-vms")
	require.Len(t, vchs, 14)
	require.Equal(t, "payments-01 234", vchs[0])

	bar := page.one(t, "chart", with("id", "chart-vch-container-vms")).all(class("bar"))
	require.Equal(t, "100.00%", bar[0].attr("width"))
	require.Equal(t, "50.00%", bar[1].attr("width"), "117 of 234")
	require.Equal(t, "0", bar[13].attr("width"), "nothing is drawn for none")
}

func TestPageOfFiveHundredVCHs(t *testing.T) {
	text := written(t, render.FormatHTML, telemetrytest.Sized(500))
	require.Less(t, len(text), 1<<20)
	page := pageOf(t, telemetrytest.Sized(500))
	require.Len(t, chart(t, page, "chart-vch-container-vms"), 20)
	require.Contains(t, page.one(t, "chart", with("id", "chart-vch-container-vms")).text(), "and 480 more, with 10,373 container VMs")
	list := page.one(t, "list", with("id", "list-vchs"))
	require.Equal(t, "All 500 VCHs", list.one(t, "summary", tag("summary")).text())
	require.Len(t, list.one(t, "body", tag("tbody")).all(tag("tr")), 500, "whoever looks for one finds it")
}

func TestPageDrawsLifetimes(t *testing.T) {
	report := telemetrytest.Report()
	page := pageOf(t, report)
	sum := 0
	columns := page.one(t, "histogram", with("id", "lifetime-histogram")).all(tag("g"))
	require.Len(t, columns, len(telemetry.LifetimeBuckets)+1)
	for i, column := range columns {
		n, err := strconv.Atoi(column.attr("data-count"))
		require.NoError(t, err)
		sum += n
		want := "+Inf"
		if i < len(telemetry.LifetimeBuckets) {
			want = fmt.Sprint(int(telemetry.LifetimeBuckets[i]))
		}
		require.Equal(t, want, column.attr("data-up-to"))
	}
	require.Equal(t, report.Lifetime.Completed.Count, sum)
	require.Equal(t, "Photon (3,134) Redhat (392) Windows (392)", page.one(t, "histogram", with("id", "lifetime-histogram")).one(t, "legend", class("legend")).text())
	curve := page.one(t, "curve", with("id", "lifetime-curve"))
	require.Contains(t, curve.text(), "half ended within 53m nine of ten within 10h")
	require.Equal(t, "10s 1m 5m 1h 6h 1d 7d 30d", curve.one(t, "axis", class("x")).text())
	numbers := page.one(t, "numbers", with("id", "lifetime-numbers")).text()
	for _, want := range []string{"Mean lifetime 6h14m", "Mean of the ended 5h25m", "Median 53m", "90th percentile 10h", "Mean age of the living 4d18h"} {
		require.Contains(t, numbers, want)
	}
}

// More OS words than there are colours are one colour together, and none is lost.
func TestPageDrawsManyOSes(t *testing.T) {
	report := telemetrytest.Report()
	for i := range 9 {
		h := report.Lifetime.Histograms[0]
		h.OS = fmt.Sprintf("OS %d", i)
		report.Lifetime.Histograms = append(report.Lifetime.Histograms, h)
	}
	legend := pageOf(t, report).one(t, "histogram", with("id", "lifetime-histogram")).one(t, "legend", class("legend"))
	require.Len(t, legend.all(tag("li")), 5)
	require.Contains(t, legend.text(), "other (19,588)")
}

func TestPageDrawsTrends(t *testing.T) {
	page := pageOf(t, telemetrytest.Report(), telemetrytest.History(30)...)
	trend := page.one(t, "trend", with("id", "trend-vms"))
	require.Equal(t, "VMs 986 986 345 31 Jan 2026 2 Mar 2026", trend.text())
	require.Equal(t, "VMs: 345 on 2026-01-31 09:30 UTC, 986 on 2026-03-02 09:30 UTC; lowest 345, highest 986", trend.one(t, "plot", tag("svg")).attr("aria-label"))
	path := trend.one(t, "line", class("line")).attr("d")
	require.True(t, strings.HasPrefix(path, "M0 1000L"), path)
	require.True(t, strings.HasSuffix(path, "L1000 0"), path)
	require.Equal(t, 30, strings.Count(path, "L"), "a point for each report")
	require.Len(t, page.all(class("spark")), 7)

	without := telemetrytest.Report()
	without.Lifetime = nil
	require.NotEmpty(t, pageOf(t, without, telemetrytest.History(3)...).all(with("id", "trend-lifetime")), "two earlier reports know it")
	require.Empty(t, pageOf(t, without, telemetrytest.History(1)...).all(with("id", "trend-lifetime")))
}

func TestPageOfNothingSaysSo(t *testing.T) {
	page := pageOf(t, telemetrytest.Empty())
	for _, want := range []string{
		"This vCenter has no hosts, or none may be read", "There is no VCH: no VM has a guest name such as", "There is no container VM",
		"There is no host to have a VCH on it", "There is no VCH to have container VMs", "No events were read", "Doubts None.",
	} {
		require.Contains(t, page.text(), want)
	}
	require.Equal(t, "not read", tile(t, page, 10).one(t, "value", class("value")).text())
	require.Empty(t, tile(t, page, 10).attr("data-value"))
	require.Empty(t, page.all(tag("details")))

	quiet := telemetrytest.Sized(2)
	quiet.Lifetime = &telemetry.Lifetime{From: quiet.Taken.Add(-time.Hour), To: quiet.Taken}
	require.Contains(t, pageOf(t, quiet).text(), "No container VM ended in the 60m that were looked at")
}

func TestPageTellsProblems(t *testing.T) {
	report := telemetrytest.Report()
	report.Quality.Complete = false
	for i := range 60 {
		report.Quality.Problems = append(report.Quality.Problems, telemetry.Problem{Stage: "events", Message: fmt.Sprintf("page %d", i), Partial: true})
	}
	report.Products[1].Problem = "its version is told to users alone"
	page := pageOf(t, report)
	require.Equal(t, "Partial: see what is missing", page.one(t, "verdict", with("id", "verdict")).text())
	quality := page.one(t, "quality", class("quality"))
	problems := quality.all(tag("li"))
	require.Len(t, problems, 50)
	require.Equal(t, "missing events: page 0", problems[0].text(), "what makes it partial comes first")
	require.Contains(t, quality.text(), "and 12 more")

	few := telemetrytest.Report()
	few.Products[1].Problem = "its version is told to users alone"
	require.Contains(t, pageOf(t, few).text(), "note products: vic-appliance: its version is told to users alone")
}

// tags are those that the page is made of. None of them loads or runs anything.
var tags = strings.Fields(`html head meta title link style body header main footer div p h1 h2 h3 span small a time section article bdi
	ul ol li dl dt dd code details summary table thead tbody tr th td svg g rect line path text`)

// Whatever names there are, the page is made of the same elements, and none of its attributes does anything.
func TestPageIsHarmless(t *testing.T) {
	for name, report := range fixtures() {
		t.Run(name, func(t *testing.T) {
			source := written(t, render.FormatHTML, report, telemetrytest.History(3)...)
			requireHarmless(t, source)
			for _, r := range source {
				require.True(t, r == '\n' || unicode.IsPrint(r), "%q", r)
			}
			require.NotContains(t, source, "ZgotmplZ", "nothing is put where the template cannot make it safe")
			require.NotRegexp(t, `="[^"]*\b(NaN|Inf)\b`, strings.ReplaceAll(source, `data-up-to="&#43;Inf"`, ""))
		})
	}
	page := pageOf(t, telemetrytest.Hostile())
	require.Contains(t, page.text(), `<script>alert(1)</script>`, "names are shown as they are")
	require.Contains(t, page.text(), `\u202egnp.exe`)
}

func requireHarmless(t *testing.T, source string) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(source))
	require.NoError(t, err)
	for _, e := range (node{root}).all(func(node) bool { return true }) {
		require.Contains(t, tags, e.Data)
		for _, a := range e.Attr {
			require.False(t, strings.HasPrefix(a.Key, "on"), "%s %s", e.Data, a.Key)
			require.NotContains(t, []string{"style", "src", "srcset", "action", "formaction", "background", "ping"}, a.Key)
			if a.Key == "href" {
				require.Regexp(t, `^(#quality$|data:image/svg\+xml,)`, a.Val)
			}
		}
	}
}

// A browser that obeys the policy does not even have to trust that.
func TestPageForbidsEverythingButItsStyle(t *testing.T) {
	page := pageOf(t, telemetrytest.Report())
	style := page.one(t, "style", tag("style")).FirstChild.Data
	sum := sha256.Sum256([]byte(style))
	require.Equal(t,
		"default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'; img-src data:; base-uri 'none'; form-action 'none'",
		page.one(t, "policy", with("http-equiv", "Content-Security-Policy")).attr("content"))
	require.NotRegexp(t, `url\(|@import|https?:`, style)
	require.Equal(t, "Content-Security-Policy", page.one(t, "head", tag("head")).all(tag("meta"))[1].attr("http-equiv"), "it holds for what comes after it")
}

// Who does not see the page hears it: each picture has words or is left out, and what is referred to is there, once.
func TestPageIsAccessible(t *testing.T) {
	for name, report := range fixtures() {
		t.Run(name, func(t *testing.T) {
			page := pageOf(t, report, telemetrytest.History(3)...)
			ids := map[string]int{}
			for _, e := range page.all(func(n node) bool { return n.attr("id") != "" }) {
				ids[e.attr("id")]++
				require.Equal(t, 1, ids[e.attr("id")], e.attr("id"))
			}
			for _, e := range page.all(func(n node) bool { return n.attr("aria-labelledby") != "" }) {
				require.Contains(t, ids, e.attr("aria-labelledby"))
			}
			for _, e := range page.all(tag("svg")) {
				named := e.attr("role") == "img" && e.attr("aria-label") != ""
				require.True(t, named || e.attr("aria-hidden") == "true", e.attr("class"))
			}
			require.Equal(t, "en", page.one(t, "html", tag("html")).attr("lang"))
			require.Len(t, page.all(tag("h1")), 1)
		})
	}
}

// Text has a contrast of at least 4.5 and a drawing of 3, as WCAG 2 has it, in each of the page's themes.
func TestColoursHaveContrast(t *testing.T) {
	style := pageOf(t, telemetrytest.Empty()).one(t, "style", tag("style")).FirstChild.Data
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(style, -1)
	require.Len(t, themes, 3, "light, dark and print")
	for i, theme := range themes {
		colours := map[string]string{}
		for _, c := range regexp.MustCompile(`--([\w-]+): (#[0-9a-f]{6})`).FindAllStringSubmatch(theme[1], -1) {
			colours[c[1]] = c[2]
		}
		for _, pair := range []struct {
			on, of string
			least  float64
		}{
			{"page", "text", 4.5},
			{"page", "soft", 4.5},
			{"card", "text", 4.5},
			{"card", "soft", 4.5},
			{"card", "accent", 4.5},
			{"track", "soft", 4.5},
			{"accent-soft", "accent", 4.5},
			{"warn-soft", "warn", 4.5},
			{"good-soft", "good", 4.5},
			{"track", "accent", 3},
			{"card", "c0", 3},
			{"card", "c1", 3},
			{"card", "c2", 3},
			{"card", "c3", 3},
			{"card", "c4", 3},
		} {
			require.GreaterOrEqual(t, contrast(t, colours[pair.on], colours[pair.of]), pair.least, "theme %d: %s on %s", i, pair.of, pair.on)
		}
	}
}

// contrast is WCAG's contrast ratio of two colours such as #12abef.
func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	x, y := luminance(t, a)+0.05, luminance(t, b)+0.05
	return max(x, y) / min(x, y)
}

func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	require.Len(t, colour, 7)
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		n, err := strconv.ParseUint(colour[1+2*i:3+2*i], 16, 8)
		require.NoError(t, err)
		c := float64(n) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

// A name is text wherever it stands.
func FuzzNamesOnAPage(f *testing.F) {
	for _, name := range telemetrytest.Harms {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		report := telemetrytest.Sized(1)
		report.VCenter.Name, report.VCenter.FullName, report.Clusters[0].Name = name, name, name
		report.Hosts[0].Name, report.Hosts[0].Version, report.VCHs[0].Name, report.VCHs[0].Version = name, name, name, name
		report.ContainerVMs[0].OS, report.Lifetime.Histograms[0].OS = name, name
		report.Products = []telemetry.Product{{Name: name, Version: name, VM: name}}
		report.Quality.Problems = []telemetry.Problem{{Stage: name, Object: name, Message: name}}
		requireHarmless(t, written(t, render.FormatHTML, report))
		for line := range strings.Lines(written(t, render.FormatTable, report)) {
			for _, r := range strings.TrimSuffix(line, "\n") {
				require.True(t, unicode.IsPrint(r), "%q", r)
			}
		}
		requireLabels(t, written(t, render.FormatOpenMetrics, report))
	})
}

func requireLabels(t *testing.T, text string) {
	t.Helper()
	for line := range strings.Lines(text) {
		require.Regexp(t, `^(# (HELP|TYPE|UNIT|EOF)|vic_\w+\{)`, line, "a name does not begin a line")
	}
}
