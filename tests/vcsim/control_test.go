// SPDX-License-Identifier: Apache-2.0

package vcsim_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/vim25/methods"

	"wolfpack/tests/vcsim"
)

// ask makes a request at the control endpoint and returns what it answers.
func (b *bench) ask(method, path, body string, status int, edit ...func(*http.Request)) string {
	b.Helper()
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: b.server.Pool()}}
	defer transport.CloseIdleConnections()
	u := b.server.URL()
	req, err := http.NewRequestWithContext(b.ctx, method, u.Scheme+"://"+u.Host+vcsim.ControlPath+path, strings.NewReader(body))
	require.NoError(b, err)
	password, _ := u.User.Password()
	req.SetBasicAuth(u.User.Username(), password)
	for _, do := range edit {
		do(req)
	}
	res, err := transport.RoundTrip(req)
	require.NoError(b, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(b, err)
	require.Equal(b, status, res.StatusCode, "%s", text)
	return string(text)
}

func TestControlEndpoint(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	b.client.UserAgent = "tester/1"
	require.JSONEq(t, "[]", b.ask("GET", "faults", "", 200))
	added := b.ask("POST", "faults", "[{name: a/b, do: http-status}, {method: CurrentTime, do: fault, fault: NoPermission}]", 201)
	require.Contains(t, added, `"fault-1"`)
	_, err := methods.GetCurrentTime(b.ctx, b.client)
	require.ErrorContains(t, err, "503 Service Unavailable")

	var faults []struct {
		Name             string
		Do               vcsim.Effect
		Selected, Struck int
	}
	require.NoError(t, json.Unmarshal([]byte(b.ask("GET", "faults", "", 200)), &faults), "the endpoint is out of reach of a fault for all")
	require.Len(t, faults, 2)
	require.Equal(t, "a/b", faults[0].Name)
	require.Equal(t, 1, faults[0].Struck)
	require.Equal(t, vcsim.DoFault, faults[1].Do)
	b.ask("DELETE", "faults/a/b", "", 204)
	require.Contains(t, b.ask("DELETE", "faults/a/b", "", 404), `there is no fault \"a/b\"`)
	require.Contains(t, b.ask("POST", "faults", "[{name: fine, do: reset}, {do: explode}]", 400), `fault \"number 2\": field do is \"explode\"`)
	require.Contains(t, b.ask("POST", "faults", "{name: fault-1, do: reset}", 400), `field name is \"fault-1\"; want one that no other rule has`)
	require.Len(t, b.server.Faults(), 1, "nothing is half applied")
	b.ask("DELETE", "faults", "", 204)
	require.Empty(t, b.server.Faults())

	b.create(spec("web-1", other64, wolfpack, nil))
	b.create(spec("db-1", other64, wolfpack, nil))
	journal := func(query string) (seen vcsim.Journaled) {
		require.NoError(t, json.Unmarshal([]byte(b.ask("GET", "journal"+query, "", 200)), &seen))
		return seen
	}
	all := journal("")
	require.Equal(t, b.server.Calls(), all.Counts)
	require.Equal(t, len(all.Requests), len(b.server.Journal()))
	web := journal("?method=Create*&object=web-*&agent=tester/*").Requests
	require.Len(t, web, 1)
	require.Equal(t, "ok", web[0].Outcome)
	require.Len(t, journal("?method=CreateVM_Task").Requests, 2)
	require.Empty(t, journal("?method=CreateVM_Task&session=none").Requests)
	later := journal("?since=" + json.Number(strings.TrimSpace(jsonOf(t, web[0].Number))).String()).Requests
	require.NotEmpty(t, later)
	require.Greater(t, later[0].Number, web[0].Number)
	require.Contains(t, b.ask("GET", "journal?methd=x", "", 400), "unknown query methd=x; want since, method, object, session or agent")
	require.Contains(t, b.ask("GET", "journal?since=x", "", 400), "query since=x")
	require.Contains(t, b.ask("GET", "journal?method=[", "", 400), "query method=[")
	b.ask("DELETE", "journal", "", 204)
	require.Empty(t, journal("").Requests)
	b.ask("PUT", "faults", "", 405)
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	require.NoError(t, err)
	return string(text)
}

func TestControlEndpointIsProtected(t *testing.T) {
	t.Parallel()
	b := newBench(t, vcsim.Config{Username: "admin", Password: "secret"})
	for name, edit := range map[string]func(*http.Request){
		"nobody":         func(r *http.Request) { r.Header.Del("Authorization") },
		"wrong password": func(r *http.Request) { r.SetBasicAuth("admin", "guess") },
		"wrong user":     func(r *http.Request) { r.SetBasicAuth("root", "secret") },
	} {
		t.Run(name, func(t *testing.T) {
			for _, request := range []string{"GET faults", "POST faults", "DELETE faults", "DELETE faults/x", "GET journal", "DELETE journal"} {
				method, path, _ := strings.Cut(request, " ")
				b.ask(method, path, "{do: reset}", 401, edit)
			}
		})
	}
	require.Empty(t, b.server.Faults())
	require.NotEmpty(t, b.server.Journal())
	open := newBench(t, vcsim.Config{Plain: true})
	open.ask("GET", "faults", "", 200, func(r *http.Request) { r.Header.Del("Authorization") })
}
