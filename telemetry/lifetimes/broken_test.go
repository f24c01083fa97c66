// SPDX-License-Identifier: Apache-2.0

package lifetimes_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"wolfpack/telemetry/lifetimes"
	"wolfpack/tests/vcsim"
)

// spoilt is a client that reaches the bench's stand-in through something that changes the pages of events on their way.
func (b *bench) spoilt(change func(page []byte) []byte) *vim25.Client {
	b.Helper()
	target := b.server.URL()
	target.Path = ""
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = &http.Transport{TLSClientConfig: b.client.DefaultTransport().TLSClientConfig.Clone()}
	b.Cleanup(proxy.Transport.(*http.Transport).CloseIdleConnections)
	proxy.ModifyResponse = func(r *http.Response) error {
		page, err := io.ReadAll(r.Body)
		require.NoError(b, err)
		if bytes.Contains(page, []byte("ReadNextEventsResponse")) {
			page = change(page)
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(page)), int64(len(page))
		r.Header.Set("Content-Length", fmt.Sprint(len(page)))
		return nil
	}
	front := httptest.NewServer(proxy)
	b.Cleanup(front.Close)
	address, err := soap.ParseURL(front.URL)
	require.NoError(b, err)
	client, err := vim25.NewClient(b.ctx, soap.NewClient(address, true))
	require.NoError(b, err)
	sessions := session.NewManager(client)
	require.NoError(b, sessions.Login(b.ctx, b.server.URL().User))
	b.Cleanup(func() {
		_ = sessions.Logout(context.Background())
		client.CloseIdleConnections()
	})
	return client
}

// names are the VMs that events of a kind told of.
func names(t testing.TB, source lifetimes.Source, kind lifetimes.Kind) (all []string, reading lifetimes.Reading) {
	t.Helper()
	reading, err := source.Events(t.Context(), time.Time{}, func(page []lifetimes.Event) bool {
		for _, e := range page {
			if e.Kind == kind && !slices.Contains(all, e.Name) {
				all = append(all, e.Name)
			}
		}
		return true
	})
	require.NoError(t, err)
	return all, reading
}

// One event that cannot be decoded takes nothing with it: the page that it is in is narrowed down to it.
func TestAnEventThatCannotBeDecoded(t *testing.T) {
	b := newBench(t)
	for _, name := range []string{"a", "poison", "b"} {
		b.create(name, photonContainer)
	}
	client := b.spoilt(func(page []byte) []byte { return bytes.ReplaceAll(page, []byte("poison"), []byte("\x01")) })
	made, reading := names(t, &lifetimes.VCenter{Client: client}, lifetimes.Made)
	require.Equal(t, []string{"a", "b"}, made)
	require.True(t, reading.Complete)
	require.Len(t, reading.Problems, 1)
	require.Regexp(t, `^3 events cannot be read, the first of them after .*: .*U\+0001`, reading.Problems[0].Message)
	require.True(t, reading.Problems[0].Partial)
	b.noCollectors()
}

// An event that does not tell when it was is left out, and its page is not.
func TestAnEventWithoutATime(t *testing.T) {
	b := newBench(t)
	b.create("a", photonContainer)
	spoilt := false
	client := b.spoilt(func(page []byte) []byte {
		if from := bytes.Index(page, []byte("<createdTime>")); from >= 0 && !spoilt {
			spoilt = true
			return slices.Concat(page[:from+len("<createdTime>")], []byte("yesterday"), page[bytes.Index(page, []byte("</createdTime>")):])
		}
		return page
	})
	made, reading := names(t, &lifetimes.VCenter{Client: client}, lifetimes.Made)
	require.Equal(t, []string{"a"}, made)
	require.Equal(t, 2, reading.Pages)
	require.Len(t, reading.Problems, 1)
	require.Regexp(t, `^1 events cannot be read.*VmBeingCreatedEvent\) has the time "yesterday"`, reading.Problems[0].Message)
}

// What fails once is read again. What fails for good makes the study partial, and says what is missing; so does what the
// account may not do. In each case no collector is left behind.
func TestRequestsThatFail(t *testing.T) {
	cases := map[string]struct {
		fault    vcsim.Fault
		complete bool
		problem  string
	}{
		"a page once":             {vcsim.Fault{Method: "ReadNextEvents", Count: 1, Do: vcsim.DoReset}, true, ""},
		"a page's answer, once":   {vcsim.Fault{Method: "ReadNextEvents", Count: 1, Do: vcsim.DoLoseAnswer}, true, ""},
		"the second page, once":   {vcsim.Fault{Method: "ReadNextEvents", Skip: 1, Count: 1, Do: vcsim.DoStatus}, true, ""},
		"pages for good":          {vcsim.Fault{Method: "ReadNextEvents", Do: vcsim.DoReset}, false, "the events cannot be read: read a page of events"},
		"all but the first":       {vcsim.Fault{Method: "ReadNextEvents", Skip: 1, Do: vcsim.DoReset}, false, "the events after .* cannot be read: read a page"},
		"no right to pages":       {vcsim.Fault{Method: "ReadNextEvents", Do: vcsim.DoFault, Fault: &types.NoPermission{PrivilegeId: "System.Read"}}, false, "Read-only on the vCenter's root"},
		"no right to events":      {vcsim.Fault{Method: "CreateCollectorForEvents", Do: vcsim.DoFault, Fault: &types.NoPermission{PrivilegeId: "System.View"}}, false, "Read-only on the vCenter's root"},
		"too many collectors":     {vcsim.Fault{Method: "CreateCollectorForEvents", Do: vcsim.DoFault, Fault: new(types.InvalidState)}, false, "make an event collector"},
		"a fault of vCenter":      {vcsim.Fault{Method: "ReadNextEvents", Do: vcsim.DoFault, Fault: new(types.InvalidArgument)}, false, "the events cannot be read: read a page"},
		"the collector's removal": {vcsim.Fault{Method: "DestroyCollector", Do: vcsim.DoReset}, true, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			b.create("a", photonContainer)
			remove := b.server.Inject(c.fault)
			made, reading := names(t, &lifetimes.VCenter{Client: b.client.Client}, lifetimes.Made)
			remove()
			require.Equal(t, c.complete, reading.Complete)
			if c.problem == "" {
				require.Equal(t, []string{"a"}, made)
				require.Empty(t, reading.Problems)
			} else {
				require.Len(t, reading.Problems, 1)
				require.Regexp(t, c.problem, reading.Problems[0].Message)
				require.True(t, reading.Problems[0].Partial)
			}
			if c.fault.Method != "DestroyCollector" {
				b.noCollectors()
			}
		})
	}
}

// A study whose events could not be read does not take anyone for dead, and the next one reads what this one could not.
func TestAStudyWithoutEvents(t *testing.T) {
	b := newBench(t)
	vm := b.create("a", photonContainer)
	source := &lifetimes.VCenter{Client: b.client.Client}
	_, state, _ := b.study(source, nil)
	b.destroy(vm)
	remove := b.server.Inject(vcsim.Fault{Method: "ReadNextEvents", Do: vcsim.DoStatus})
	lifetime, state, study := b.study(source, state)
	remove()
	require.Len(t, study.Problems, 1)
	require.Zero(t, lifetime.Exposure.Deaths)
	require.Zero(t, lifetime.Vanished)
	require.Zero(t, lifetime.Living.Count)
	lifetime, _, study = b.study(source, state)
	require.Empty(t, study.Problems)
	require.Equal(t, 1, lifetime.Completed.Count)
}

func TestItEndsWithItsContext(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(b.ctx)
	b.server.Inject(vcsim.Fault{Method: "ReadNextEvents", Before: func(vcsim.Request) { cancel() }})
	_, err := lifetimes.Read(ctx, &lifetimes.VCenter{Client: b.client.Client}, nil, time.Time{})
	require.ErrorIs(t, err, context.Canceled)
	b.noCollectors()
}

// noCollectors says that the session has room for as many collectors as vCenter lets it have.
func (b *bench) noCollectors() {
	b.Helper()
	for range 32 {
		_, err := methods.CreateCollectorForEvents(b.ctx, b.client, &types.CreateCollectorForEvents{
			This: *b.client.ServiceContent.EventManager,
		})
		require.NoError(b, err, "a collector was left behind")
	}
}

// A configuration holds keys and passwords. Nothing of it is kept but what the guest is, in no value and in no text.
func TestSecretsAreNotKept(t *testing.T) {
	b := newBench(t)
	secret := "hunter2-" + strings.Repeat("s3cret", 3)
	b.create("a", photonContainer,
		&types.OptionValue{Key: "guestinfo.vice./init/diagnostics/key", Value: secret}, &types.OptionValue{Key: secret, Value: "1"})
	b.create("poison", photonContainer, &types.OptionValue{Key: "guestinfo.password", Value: secret})
	seen := false
	client := b.spoilt(func(page []byte) []byte {
		seen = seen || bytes.Contains(page, []byte(secret))
		return bytes.ReplaceAll(page, []byte("poison"), []byte("\x01"))
	})
	kept := new(strings.Builder)
	source := &recorder{&lifetimes.VCenter{Client: client}, kept}
	lifetime, state, study := b.study(source, nil)
	text, err := state.MarshalJSON()
	require.NoError(t, err)
	fmt.Fprintf(kept, "%+v %+v %+v %#v %s", lifetime, study.Problems, study, study, text)
	require.True(t, seen, "the secret was never in an event")
	require.NotEmpty(t, study.Problems)
	require.Contains(t, kept.String(), photonContainer)
	require.NotContains(t, kept.String(), secret)
	require.NotContains(t, kept.String(), "guestinfo")
}

// recorder writes down all that leaves a source.
type recorder struct {
	lifetimes.Source
	to *strings.Builder
}

func (r *recorder) Events(ctx context.Context, from time.Time, take func([]lifetimes.Event) bool) (lifetimes.Reading, error) {
	return r.Source.Events(ctx, from, func(page []lifetimes.Event) bool {
		for _, e := range page {
			fmt.Fprintf(r.to, "%+v %+v\n", e, e.Guest)
		}
		return take(page)
	})
}
