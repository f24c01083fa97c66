// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/errs"
)

const (
	// freshFor is how long what a guest said is good enough.
	freshFor = 5 * time.Second
	// guestTimeout is for one guest and collectTimeout for all of them: metrics-server waits for 10 s.
	guestTimeout   = 2 * time.Second
	collectTimeout = 8 * time.Second
	// guestsAtOnce bounds the connections of one collection.
	guestsAtOnce = 64
	// answerLimit bounds what a guest may say.
	answerLimit = 4 << 20
)

// gatherer asks the guests of all running pods the same question.
type gatherer[T any] struct {
	pods  Pods
	path  string
	parse func(*corev1.Pod, io.Reader) (T, error)

	turn    chan struct{} // holds one token while a collection is under way, which alone uses answers
	answers map[types.UID]answer[T]
}

// answer is what a pod's guest said, or why it said nothing.
type answer[T any] struct {
	pod   *corev1.Pod
	at    time.Time
	value T
	err   error
}

func newGatherer[T any](pods Pods, path string, parse func(*corev1.Pod, io.Reader) (T, error)) *gatherer[T] {
	return &gatherer[T]{pods: pods, path: path, parse: parse, turn: make(chan struct{}, 1)}
}

// collect calls use with an answer for each running pod, sorted by namespace and name. Only guests that were not asked
// lately are asked, so that any number of scrapers costs no more than one. There is one collection at a time, use included.
func (g *gatherer[T]) collect(ctx context.Context, use func([]answer[T])) error {
	select {
	case g.turn <- struct{}{}:
		defer func() { <-g.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	pods, err := g.pods.GetPods(ctx)
	if err != nil {
		return err
	}
	pods = slices.DeleteFunc(pods, func(pod *corev1.Pod) bool { return !runningPod(pod) })
	fresh := g.ask(ctx, pods)
	if err := ctx.Err(); err != nil {
		return err // whoever asked has gone, and with them the answers that were still to come
	}
	g.answers = fresh
	all := make([]answer[T], 0, len(fresh))
	for _, a := range fresh {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b answer[T]) int {
		if c := strings.Compare(a.pod.Namespace, b.pod.Namespace); c != 0 {
			return c
		}
		return strings.Compare(a.pod.Name, b.pod.Name)
	})
	use(all)
	return nil
}

// ask returns an answer for each pod, of now or of just before.
func (g *gatherer[T]) ask(ctx context.Context, pods []*corev1.Pod) map[types.UID]answer[T] {
	ctx, cancel := context.WithTimeout(ctx, collectTimeout)
	defer cancel()
	var mu sync.Mutex // guards fresh
	fresh := make(map[types.UID]answer[T], len(pods))
	var group errgroup.Group
	group.SetLimit(guestsAtOnce)
	for _, pod := range pods {
		old, known := g.answers[pod.UID]
		group.Go(func() error {
			if !known || time.Since(old.at) > freshFor {
				value, err := g.askOne(ctx, pod)
				old = answer[T]{pod: pod, at: time.Now(), value: value, err: err}
			}
			mu.Lock()
			defer mu.Unlock()
			fresh[pod.UID] = old
			return nil
		})
	}
	_ = group.Wait()
	return fresh
}

// askOne asks the guest of one pod.
func (g *gatherer[T]) askOne(ctx context.Context, pod *corev1.Pod) (value T, err error) {
	ctx, cancel := context.WithTimeout(ctx, guestTimeout)
	defer cancel()
	target, transport, err := g.pods.Guest(ctx, pod.Namespace, pod.Name)
	if err != nil {
		return value, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.JoinPath(g.path).String(), nil)
	if err != nil {
		return value, err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return value, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return value, errs.New("kubelet.askOne", errs.Unavailable, "guest of pod %s/%s: GET %s: %s", pod.Namespace, pod.Name, g.path, response.Status)
	}
	value, err = g.parse(pod, io.LimitReader(response.Body, answerLimit))
	if err != nil {
		return value, fmt.Errorf("guest of pod %s/%s: GET %s: %w", pod.Namespace, pod.Name, g.path, err)
	}
	return value, nil
}
