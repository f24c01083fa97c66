// SPDX-License-Identifier: Apache-2.0

package election_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	k8stesting "k8s.io/client-go/testing"

	"wolfpack/errs"
	"wolfpack/provider/election"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func config(client *fake.Clientset, identity string) election.Config {
	return election.Config{
		Client: client, Namespace: "wolfpack-system", Name: "n", Identity: identity,
		LeaseDuration: 2 * time.Second, RenewDeadline: time.Second, RetryPeriod: 50 * time.Millisecond,
	}
}

// candidate runs in an election. Its term comes on leads; finish ends its work, and its result comes on done.
type candidate struct {
	leads  chan *election.Term
	finish chan error
	done   chan error
	cancel context.CancelFunc
}

func run(t *testing.T, c election.Config) *candidate {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	one := &candidate{make(chan *election.Term, 1), make(chan error), make(chan error, 1), cancel}
	go func() {
		one.done <- election.Run(ctx, c, func(ctx context.Context, term *election.Term) error {
			one.leads <- term
			select {
			case <-ctx.Done():
				return nil
			case err := <-one.finish:
				return err
			}
		})
	}()
	t.Cleanup(cancel)
	return one
}

func TestStandbyGoesOnWhenTheLeaderEnds(t *testing.T) {
	client := fake.NewClientset()
	first := run(t, config(client, "first"))
	term := <-first.leads
	require.NoError(t, term.Check())
	second := run(t, config(client, "second"))

	first.cancel()
	require.NoError(t, <-first.done)
	require.True(t, errs.Is(term.Check(), errs.Unavailable), "who gave it back leads no more")
	require.NoError(t, (<-second.leads).Check())
	second.cancel()
	require.NoError(t, <-second.done)
}

func TestStandbyEndsWithItsContext(t *testing.T) {
	client := fake.NewClientset()
	first := run(t, config(client, "first"))
	<-first.leads
	second := run(t, config(client, "second"))
	second.cancel()
	require.NoError(t, <-second.done)
	require.Empty(t, second.leads)
	first.cancel()
	require.NoError(t, <-first.done)
}

func TestErrorOfTheLeader(t *testing.T) {
	one := run(t, config(fake.NewClientset(), "one"))
	<-one.leads
	one.finish <- errors.New("the node is on fire")
	require.EqualError(t, <-one.done, "the node is on fire")
}

func TestLeaderThatCannotRenewStopsActing(t *testing.T) {
	client := fake.NewClientset()
	var cut atomic.Bool
	client.PrependReactor("*", "leases", func(k8stesting.Action) (bool, runtime.Object, error) {
		return cut.Load(), nil, errors.New("no route to host")
	})
	one := run(t, config(client, "one"))
	term := <-one.leads
	cut.Store(true)
	err := <-one.done
	require.True(t, errs.Is(err, errs.Unavailable), "%v", err)
	require.ErrorContains(t, err, "lease wolfpack-system/n was lost")
	require.Eventually(t, func() bool { return term.Check() != nil }, time.Minute, time.Millisecond)
}

// round is a transport that counts.
type round struct{ calls int }

func (r *round) RoundTrip(request *http.Request) (*http.Response, error) {
	r.calls++
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: request}, nil
}

func TestFence(t *testing.T) {
	one := run(t, config(fake.NewClientset(), "one"))
	term := <-one.leads
	web := &round{}
	kubernetes := term.Kubernetes(web)
	ask := func(method string) error {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://192.0.2.1/", nil)
		require.NoError(t, err)
		response, err := kubernetes.RoundTrip(request)
		if err == nil {
			require.NoError(t, response.Body.Close())
		}
		return err
	}
	require.NoError(t, ask(http.MethodPatch))

	one.cancel()
	require.NoError(t, <-one.done)
	require.True(t, errs.Is(ask(http.MethodPatch), errs.Unavailable))
	require.NoError(t, ask(http.MethodGet), "reading does no harm")
	require.Equal(t, 2, web.calls)
}

func TestTimesThatCannotWork(t *testing.T) {
	good := election.Config{LeaseDuration: election.DefaultLeaseDuration, RenewDeadline: election.DefaultRenewDeadline, RetryPeriod: election.DefaultRetryPeriod}
	require.NoError(t, good.Check())
	cases := map[string]struct {
		change func(*election.Config)
		says   string
	}{
		"retry": {func(c *election.Config) { c.RetryPeriod = 0 }, "the retry period is 0s"},
		"renew": {func(c *election.Config) { c.RenewDeadline = 2 * time.Second }, "the renew deadline is 2s, want more than 1.2 times the retry period of 2s"},
		"lease": {func(c *election.Config) { c.LeaseDuration = 10 * time.Second }, "the lease duration is 10s, want more than the renew deadline of 10s"},
		"lease of a s": {func(c *election.Config) {
			*c = election.Config{LeaseDuration: 900e6, RenewDeadline: 800e6, RetryPeriod: 100e6}
		}, "at least 1s"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := good
			tc.change(&c)
			err := c.Check()
			require.True(t, errs.Is(err, errs.Invalid))
			require.ErrorContains(t, err, tc.says)
		})
	}
}
