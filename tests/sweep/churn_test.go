// SPDX-License-Identifier: Apache-2.0

package sweep

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"wolfpack/provider/portlayer/vcenter"
	"wolfpack/tests/vcsim"
)

var seed = flag.Uint64("seed", 0, "what TestChurn does; 0 is something else each time")

// runner is what runs the node of a churned world: this process, or the program.
type runner interface {
	restart() // in the middle of whatever it does
	stop()
}

// TestChurn creates and deletes 500 pods at random over two minutes, in no order and several at once, while the provider is
// restarted again and again: stopped and started in this process, where its goroutines are seen, and killed as a program. In the
// end there is no VM without a pod and no pod without a VM; and when the last pod is gone, nothing is left at all.
func TestChurn(t *testing.T) {
	t.Parallel()
	pods, lasts := 500, 2*time.Minute
	if testing.Short() {
		pods, lasts = 60, 10*time.Second
	}
	each(t, []manner{stopped, killed}, func(t *testing.T, _ int, m manner) {
		c := &churn{world: newWorld(t, "churn-"+string(m)), alive: map[string]bool{}}
		chosen := *seed
		if chosen == 0 {
			chosen = rand.Uint64()
		}
		t.Logf("go test ./tests/sweep -run TestChurn -seed %d does the same", chosen)
		c.random = rand.New(rand.NewPCG(chosen, chosen))
		c.run(m.start(c.world), pods, lasts)
	})
}

// manner is how the provider ends each time.
type manner string

const (
	stopped manner = "stopped" // as by Ctrl-C
	killed  manner = "killed"  // as by kill -9
)

func (m manner) String() string { return string(m) }

func (m manner) start(w *world) runner {
	if m == killed {
		return newProgram(w)
	}
	return &nodes{w: w, now: newNode(w, vcenter.Limits{})}
}

// churn is a world in which pods come and go.
type churn struct {
	*world
	random *rand.Rand
	made   int
	alive  map[string]bool // names of pods that were not deleted, as far as the test is concerned
}

func (c *churn) run(p runner, pods int, lasts time.Duration) {
	c.awaitReady()
	pace := time.NewTicker(lasts / time.Duration(2*pods)) // a creation and a deletion for each pod
	defer pace.Stop()
	restarts := 0
	for done := 0; c.made < pods; done++ {
		<-pace.C
		if done%(2*pods/12) == pods/12 {
			p.restart()
			restarts++
		}
		if len(c.alive) > 0 && c.random.IntN(100) < 45 {
			c.deleteOne()
		} else {
			c.createOne()
		}
	}
	c.Logf("%d pods, %d of them alive, and %d restarts", c.made, len(c.alive), restarts)
	c.awaitMatch(len(c.alive))
	for _, name := range slices.Sorted(maps.Keys(c.alive)) {
		c.delete(name, int64(c.random.IntN(2)*30))
	}
	c.awaitMatch(0)
	c.onlyTheWatch()
	p.stop()
	killed := 0
	if program, ok := p.(*program); ok {
		killed = program.crashes()
	}
	c.loggedOut(killed)
	c.unharmed()
}

// createOne makes a pod, of a name that another may have had.
func (c *churn) createOne() {
	c.made++
	name := fmt.Sprintf("pod-%d", c.random.IntN(150))
	if c.alive[name] || c.pod(name) != nil {
		name = fmt.Sprintf("new-%d", c.made)
	}
	annotations := map[string]string{vcsim.AnnotationStopDelay: fmt.Sprintf("%dms", c.random.IntN(200))}
	if c.random.IntN(4) == 0 {
		annotations[vcsim.AnnotationStartDelay] = fmt.Sprintf("%dms", c.random.IntN(500))
	}
	c.create(name, annotations)
	c.alive[name] = true
}

// deleteOne deletes a pod at random, gracefully or at once.
func (c *churn) deleteOne() {
	at := c.random.IntN(len(c.alive))
	for _, pod := range slices.Sorted(maps.Keys(c.alive)) {
		if at == 0 {
			c.delete(pod, int64(c.random.IntN(2)*30))
			delete(c.alive, pod)
			return
		}
		at--
	}
}

// awaitMatch waits until there are so many pods, each Running in the one VM that is its own, and no VM beside.
func (c *churn) awaitMatch(pods int) {
	c.Helper()
	var last state
	ok := c.within(func() bool {
		running := 0
		for _, pod := range c.pods() {
			if isRunning(pod) {
				running++
			}
		}
		if running != pods || len(c.pods()) != pods {
			return false
		}
		var err error
		if last, err = c.state(c.Context()); err != nil || len(last.VMs) != pods {
			return false
		}
		for i, vm := range last.VMs {
			name, _, _ := strings.Cut(last.Pods[i], " ")
			if vm != fmt.Sprintf("%s of %s poweredOn", name, name) {
				return false
			}
		}
		return true
	})
	if !ok {
		last, err := c.state(c.Context())
		require.NoError(c, err)
		require.FailNow(c, "pods and VMs do not match", "want %d of each: %+v", pods, last)
	}
}

// onlyTheWatch fails the test unless all that the provider has in vCenter for itself is one session with one collector and one
// view: of the requests of the session that is there, what was made and not destroyed.
func (c *churn) onlyTheWatch() {
	c.Helper()
	requests := c.requests()
	sessions := map[string]map[string]int{}
	for _, r := range requests {
		if sessions[r.Session] == nil {
			sessions[r.Session] = map[string]int{}
		}
		if r.Outcome == "ok" {
			sessions[r.Session][r.Method]++
		}
	}
	now := sessions[requests[len(requests)-1].Session]
	require.Equal(c, 1, now["CreatePropertyCollector"]-now["DestroyPropertyCollector"], "property collectors")
	require.Equal(c, 1, now["CreateContainerView"]-now["DestroyView"], "views")
}

// nodes is the node in this process, again and again.
type nodes struct {
	w   *world
	now *node
}

func (n *nodes) restart() {
	n.now.end()
	n.now = newNode(n.w, vcenter.Limits{})
}

func (n *nodes) stop() { n.now.end() }

func (p *program) restart() { require.NoError(p.w, p.crash()) }
