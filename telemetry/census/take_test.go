// SPDX-License-Identifier: Apache-2.0

package census_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/errs"
	"wolfpack/telemetry"
	"wolfpack/telemetry/census"
	"wolfpack/tests/vcsim"
	"wolfpack/vsphere"
)

func start(t *testing.T, model *simulator.Model) *vcsim.Server {
	t.Helper()
	server, err := vcsim.Start(t.Context(), vcsim.Config{Model: model})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, server *vcsim.Server) *vsphere.Client {
	t.Helper()
	return dial(t, vsphere.Config{URL: server.URL().String(), CACerts: server.CAFile()})
}

func dial(t *testing.T, config vsphere.Config) *vsphere.Client {
	t.Helper()
	client, err := vsphere.Connect(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Logout(context.Background()) })
	return client
}

// some is an inventory with a few objects of each kind, of which pageSize makes several pages.
func some() *simulator.Model {
	model := simulator.VPX()
	model.App, model.Datacenter, model.Portgroup = 1, 2, 0 // VMs of a vApp are in no folder
	return model
}

const pageSize = 7

func vmsOf(report *telemetry.Report) (vms int) {
	for _, count := range report.VMs {
		vms += count.Count
	}
	return vms
}

func TestACensusAsksForEachPageOnceAndNothingElse(t *testing.T) {
	model := some()
	server := start(t, model)
	server.ResetCalls()
	client := connect(t, server)
	seen, progress := map[string]telemetry.Kind{}, []int{}
	report, err := census.Take(t.Context(), client, census.Options{
		PageSize: pageSize,
		Visit:    func(vm telemetry.VM) { seen[vm.MoID] = vm.Kind },
		Progress: func(objects int) { progress = append(progress, objects) },
	})
	require.NoError(t, err)
	require.NoError(t, client.Logout(t.Context()))
	require.True(t, report.Quality.Complete)
	require.Equal(t, model.Count().Machine, vmsOf(report))
	require.Len(t, seen, vmsOf(report))
	require.Nil(t, report.Inventory, "nobody asked for it")
	pages := (report.Quality.Objects + pageSize - 1) / pageSize
	require.Equal(t, pages, report.Quality.Pages)
	require.Equal(t, pages, report.Quality.Requests)
	require.Len(t, progress, pages)
	require.Equal(t, report.Quality.Objects, progress[pages-1])
	require.Equal(t, map[string]int{
		"RetrieveServiceContent": 1, "Login": 1, "RetrievePropertiesEx": 1, "ContinueRetrievePropertiesEx": pages - 1, "Logout": 1,
	}, server.Calls())
}

func TestALoneHostIsAVCenterOfOne(t *testing.T) {
	server := start(t, simulator.ESX())
	report, err := census.Take(t.Context(), connect(t, server), census.Options{})
	require.NoError(t, err)
	require.True(t, report.Quality.Complete)
	require.Empty(t, report.VCenter.InstanceUUID)
	require.Len(t, report.Clusters, 1)
	require.True(t, report.Clusters[0].Standalone)
	require.Len(t, report.Hosts, 1)
	require.Equal(t, "ha-datacenter", report.Hosts[0].Datacenter)
	require.Equal(t, 2, vmsOf(report))
}

func TestADatacenterIsChosenByNameOrPath(t *testing.T) {
	server := start(t, some())
	client := connect(t, server)
	root := object.NewRootFolder(client.Client)
	for _, folder := range []string{"Europe", "Asia"} {
		made, err := root.CreateFolder(t.Context(), folder)
		require.NoError(t, err)
		_, err = made.CreateDatacenter(t.Context(), "Same")
		require.NoError(t, err)
	}
	take := func(name string) (*telemetry.Report, error) {
		return census.Take(t.Context(), client, census.Options{Datacenter: name})
	}
	for _, name := range []string{"DC1", "/DC1", "DC1/"} {
		report, err := take(name)
		require.NoError(t, err)
		require.Equal(t, 1+report.Quality.Pages, report.Quality.Requests)
		require.NotEmpty(t, report.VMs)
		for _, count := range report.VMs {
			require.Equal(t, "DC1", count.Datacenter)
		}
		require.Len(t, report.Hosts, 4)
	}
	report, err := take("/Asia/Same")
	require.NoError(t, err)
	require.Zero(t, vmsOf(report))

	_, err = take("DC7")
	require.True(t, errs.Is(err, errs.Invalid))
	require.EqualError(t, err, `no datacenter "DC7"; name one with --datacenter; there are: Asia/Same, DC0, DC1, Europe/Same`)
	_, err = take("Same")
	require.True(t, errs.Is(err, errs.Invalid))
	require.EqualError(t, err, `datacenter "Same" is one of several: name it by its path: Asia/Same, Europe/Same`)
}

// TestACensusThatBreaksOffIsPartial has the second page fail in each of the ways in which a request can.
func TestACensusThatBreaksOffIsPartial(t *testing.T) {
	for name, row := range map[string]struct {
		fault vcsim.Fault
		says  string
	}{
		"the connection is reset":   {vcsim.Fault{Do: vcsim.DoReset}, "connection reset"},
		"the answer is lost":        {vcsim.Fault{Do: vcsim.DoLoseAnswer}, "connection reset"},
		"vCenter restarts":          {vcsim.Fault{Do: vcsim.DoStatus}, "503 Service Unavailable"},
		"the session has expired":   {vcsim.Fault{Do: vcsim.DoExpire}, "InvalidProperty"},
		"vCenter has lost the read": {vcsim.Fault{Do: vcsim.DoFault, Fault: &types.InvalidProperty{Name: "token"}}, "InvalidProperty"},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, some())
			client := connect(t, server)
			row.fault.Method, row.fault.Skip, row.fault.Count = "ContinueRetrievePropertiesEx", 1, 1
			server.Inject(row.fault)
			report, err := census.Take(t.Context(), client, census.Options{PageSize: pageSize})
			require.NoError(t, err, "there is a report")
			require.False(t, report.Quality.Complete)
			require.Equal(t, 2*pageSize, report.Quality.Objects)
			require.Len(t, report.Quality.Problems, 1)
			problem := report.Quality.Problems[0]
			require.True(t, problem.Partial)
			require.Equal(t, "inventory", problem.Stage)
			require.Contains(t, problem.Message, "page 3 cannot be read: ")
			require.Contains(t, problem.Message, row.says)
			require.Contains(t, problem.Message, "all after the first 14 objects is missing")
			require.Equal(t, 1, server.Calls()["CancelRetrievePropertiesEx"], "vCenter need not keep the rest")
		})
	}
}

func TestAFirstPageThatFailsLeavesNothing(t *testing.T) {
	for name, row := range map[string]struct {
		fault vcsim.Fault
		kind  errs.Kind
	}{
		"reset":     {vcsim.Fault{Do: vcsim.DoReset}, errs.Unavailable},
		"restarts":  {vcsim.Fault{Do: vcsim.DoStatus}, errs.Unavailable},
		"no rights": {vcsim.Fault{Do: vcsim.DoFault, Fault: &types.NoPermission{}}, errs.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, simulator.VPX())
			client := connect(t, server)
			row.fault.Method = "RetrievePropertiesEx"
			server.Inject(row.fault)
			report, err := census.Take(t.Context(), client, census.Options{})
			require.Nil(t, report)
			require.True(t, errs.Is(err, row.kind), "%v", err)
			require.ErrorContains(t, err, "read the inventory of 127.0.0.1")
			_, err = census.Take(t.Context(), client, census.Options{Datacenter: "DC0"})
			require.ErrorContains(t, err, `look for datacenter "DC0"`)
		})
	}
}

func TestACensusThatIsCancelledTellsVCenter(t *testing.T) {
	server := start(t, some())
	client := connect(t, server)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	report, err := census.Take(ctx, client, census.Options{PageSize: pageSize, Progress: func(int) { cancel() }})
	require.NoError(t, err)
	require.Equal(t, pageSize, report.Quality.Objects)
	require.False(t, report.Quality.Complete)
	require.Contains(t, report.Quality.Problems[0].Message, "context canceled")
	require.Equal(t, 1, server.Calls()["CancelRetrievePropertiesEx"])
}

// tampering changes the answers of one page.
type tampering struct {
	http.RoundTripper
	page   int
	change func([]byte) io.Reader
	asked  int
}

func (t *tampering) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	response, err := t.RoundTripper.RoundTrip(request)
	if err != nil || !bytes.Contains(body, []byte("RetrievePropertiesEx")) {
		return response, err
	}
	if t.asked++; t.asked != t.page {
		return response, nil
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	response.Body, response.ContentLength = io.NopCloser(t.change(answer)), -1
	return response, nil
}

// TestOfAPageThatBreaksOffWhatCameIsKept has an answer that ends in the middle, or cannot be decoded from there on. The next
// page is known by then.
func TestOfAPageThatBreaksOffWhatCameIsKept(t *testing.T) {
	half := func(answer []byte) []byte { return answer[:len(answer)/2] }
	for name, row := range map[string]struct {
		page   int
		change func([]byte) io.Reader
	}{
		"the answer ends":         {2, func(answer []byte) io.Reader { return bytes.NewReader(half(answer)) }},
		"that of the first page":  {1, func(answer []byte) io.Reader { return bytes.NewReader(half(answer)) }},
		"the connection is cut":   {2, func(answer []byte) io.Reader { return io.MultiReader(bytes.NewReader(half(answer)), cut{}) }},
		"what follows is not XML": {2, func(answer []byte) io.Reader { return bytes.NewReader(append(half(answer), "<<<>>>"...)) }},
		"a value of the wrong syntax": {3, func(answer []byte) io.Reader {
			return bytes.NewReader(replaceLast(answer, ">false</val>", ">maybe</val>"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			server := start(t, some())
			client := connect(t, server)
			whole, err := census.Take(t.Context(), client, census.Options{PageSize: pageSize})
			require.NoError(t, err)
			client.Transport = &tampering{RoundTripper: client.Transport, page: row.page, change: row.change}
			report, err := census.Take(t.Context(), client, census.Options{PageSize: pageSize})
			require.NoError(t, err)
			require.Equal(t, whole.Quality.Pages, report.Quality.Pages, "the other pages were read")
			lost := whole.Quality.Objects - report.Quality.Objects
			require.Positive(t, lost)
			require.Less(t, lost, pageSize, "and a part of that one")
			require.False(t, report.Quality.Complete)
			require.Contains(t, report.Quality.Problems[0].Message, "of up to 7 objects of that page are missing")
		})
	}
}

// cut is a connection that ends.
type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// replaceLast replaces the last of what occurs in an answer several times.
func replaceLast(answer []byte, old, by string) []byte {
	at := bytes.LastIndex(answer, []byte(old))
	return append(append(append([]byte{}, answer[:at]...), by...), answer[at+len(old):]...)
}

// TestAValueOfAnUnknownTypeIsNone has a vCenter that is newer than its client.
func TestAValueOfAnUnknownTypeIsNone(t *testing.T) {
	server := start(t, some())
	client := connect(t, server)
	client.Transport = &tampering{RoundTripper: client.Transport, page: 1, change: func(answer []byte) io.Reader {
		return bytes.NewReader(bytes.ReplaceAll(answer, []byte("VirtualMachinePowerState"), []byte("VirtualMachineMood")))
	}}
	report, err := census.Take(t.Context(), client, census.Options{})
	require.NoError(t, err)
	require.True(t, report.Quality.Complete)
	for _, count := range report.VMs {
		require.Equal(t, "unknown", count.PowerState)
	}
}

func TestAnOlderVCenterIsAskedForWhatItKnows(t *testing.T) {
	server := start(t, some())
	client := connect(t, server)
	server.Inject(vcsim.Fault{
		Method: "RetrievePropertiesEx", Count: 1, Do: vcsim.DoFault, Fault: &types.InvalidProperty{Name: "config.createDate"},
	})
	report, err := census.Take(t.Context(), client, census.Options{Detail: true})
	require.NoError(t, err)
	require.True(t, report.Quality.Complete)
	require.Equal(t, "this vCenter does not know the property config.createDate", report.Quality.Problems[0].Message)
	require.Equal(t, 2, report.Quality.Requests)
	for _, vm := range report.Inventory {
		require.Nil(t, vm.Created)
		require.NotEmpty(t, vm.InstanceUUID)
	}
}

// TestAServerWithoutDatesIsAskedForItsTime has a proxy between, which takes the dates away.
func TestAServerWithoutDatesIsAskedForItsTime(t *testing.T) {
	server := start(t, simulator.VPX())
	behind := *server.URL()
	behind.Path = ""
	proxy := httputil.NewSingleHostReverseProxy(&behind)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: server.Pool()}}
	t.Cleanup(transport.CloseIdleConnections)
	proxy.Transport = transport
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Header.Del("Date")
		return nil
	}
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(between.Close)
	t.Setenv("GOVMOMI_INSECURE_COOKIES", "true") // this side is not encrypted
	target := *server.URL()
	target.Scheme, target.Host = "http", between.Listener.Addr().String()
	client := dial(t, vsphere.Config{URL: target.String()})
	server.ResetCalls()
	report, err := census.Take(t.Context(), client, census.Options{})
	require.NoError(t, err)
	require.Equal(t, 1, server.Calls()["CurrentTime"])
	require.False(t, report.Taken.IsZero())

	server.Inject(vcsim.Fault{Method: "CurrentTime", Do: vcsim.DoFault, Fault: &types.NotSupported{}})
	report, err = census.Take(t.Context(), client, census.Options{})
	require.NoError(t, err)
	require.True(t, report.Quality.Complete)
	require.Contains(t, report.Quality.Problems[0].Message, "ages are by the clock of this machine")
}
