// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// FaultStatus is a rule and what has come of it.
type FaultStatus struct {
	Fault
	Selected int // requests that it selected
	Struck   int // of those that it made go wrong
}

// faults are the rules of a server.
type faults struct {
	mu     sync.Mutex // guards the fields below and what rules count
	rules  []*rule
	states int // of rules, those that are states of objects
	named  int // rules that were given a name here
}

// rule is a Fault at work.
type rule struct {
	Fault
	selected, struck int
	random           *rand.Rand // nil without a probability
}

// Inject adds a rule and returns what removes it. It panics if the rule is wrong; AddFaults says so instead.
func (s *Server) Inject(f Fault) (remove func()) {
	rules, err := s.addFaults(f)
	if err != nil {
		panic(err)
	}
	return func() { s.removeFaults(func(r *rule) bool { return r == rules[0] }) }
}

// AddFaults adds rules: all, or none if one is wrong or its name is taken.
func (s *Server) AddFaults(add ...Fault) error {
	_, err := s.addFaults(add...)
	return err
}

// RemoveFault removes the rule of a name, and says whether there was one. What the rule has done is not undone: a task
// that is stuck stays so.
func (s *Server) RemoveFault(name string) bool {
	return s.removeFaults(func(r *rule) bool { return r.Name == name }) > 0
}

// RemoveFaults removes all rules.
func (s *Server) RemoveFaults() { s.removeFaults(func(*rule) bool { return true }) }

func (s *Server) addFaults(add ...Fault) ([]*rule, error) {
	rules, err := s.faults.add(add...)
	s.fillDatastores()
	return rules, err
}

func (s *Server) removeFaults(which func(*rule) bool) (removed int) {
	defer s.fillDatastores()
	return s.faults.remove(which)
}

// Faults returns the rules in their order.
func (s *Server) Faults() []FaultStatus {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	all := make([]FaultStatus, 0, len(s.faults.rules))
	for _, r := range s.faults.rules {
		all = append(all, FaultStatus{Fault: r.Fault, Selected: r.selected, Struck: r.struck})
	}
	return all
}

func (s *faults) add(add ...Fault) ([]*rule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	named := s.named
	taken := make(map[string]bool, len(s.rules)+len(add))
	for _, r := range s.rules {
		taken[r.Name] = true
	}
	rules := make([]*rule, 0, len(add))
	for _, f := range add {
		for f.Name == "" {
			named++
			if name := fmt.Sprintf("fault-%d", named); !taken[name] {
				f.Name = name
			}
		}
		if taken[f.Name] {
			return nil, f.bad("name", fmt.Sprintf("%q", f.Name), "one that no other rule has, or none")
		}
		if err := f.check(); err != nil {
			return nil, err
		}
		taken[f.Name] = true
		r := &rule{Fault: f}
		if f.Probability > 0 {
			r.random = rand.New(rand.NewPCG(f.Seed, f.Seed))
		}
		rules = append(rules, r)
	}
	s.named = named
	s.set(append(s.rules, rules...))
	return rules, nil
}

func (s *faults) remove(which func(*rule) bool) (removed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.rules)
	s.set(slices.DeleteFunc(slices.Clone(s.rules), which))
	return before - len(s.rules)
}

// set makes rules the server's. The caller holds mu.
func (s *faults) set(rules []*rule) {
	s.rules, s.states = rules, 0
	for _, r := range rules {
		if r.isState() {
			s.states++
		}
	}
}

// strike returns the rules that strike a request, the last of which may do more than to delay and call hooks. with is
// what the request concerns; it may be left out without rules that are states.
func (s *faults) strike(c *call, with involved) []*rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var struck []*rule
	for _, r := range s.rules {
		if !r.selects(c, with) {
			continue
		}
		r.selected++
		if !r.strikes() {
			continue
		}
		r.struck++
		struck = append(struck, r)
		if r.ends() {
			break
		}
	}
	return struck
}

// hides says whether a rule keeps an object from being read.
func (s *faults) hides(object named) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rules {
		if r.Do == DoDeny && matchAny(r.Object, object.words()...) {
			r.selected++
			r.struck++
			return true
		}
	}
	return false
}

// fills says whether a rule makes a datastore full.
func (s *faults) fills(datastore named) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.rules, func(r *rule) bool { return r.Do == DoFill && matchAny(r.Object, datastore.words()...) })
}

// haveStates says whether there are rules that are states of objects.
func (s *faults) haveStates() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.states > 0
}

// isState says whether the rule is a state of an object.
func (r *rule) isState() bool { return r.Do == DoDeny || r.Do == DoFill }

// ends says whether no later rule can strike a request that this one does.
func (r *rule) ends() bool { return r.Do != "" && r.Do != DoDelay && r.Do != DoDelayAnswer }

// selects says whether the rule is for a request.
func (r *rule) selects(c *call, with involved) bool {
	if !match(r.Method, c.Method) || !match(r.Agent, c.Agent) {
		return false
	}
	switch r.Do {
	case DoDeny:
		return c.ref.Type != "PropertyCollector" && matchAny(r.Object, with.objects...)
	case DoFill:
		return matchAny(r.Object, with.datastores...)
	case DoTaskFault, DoTaskStuck:
		if !makesTask(c.Method) {
			return false
		}
	case DoExpire:
		if c.Session == "" || c.Method == "Login" {
			return false
		}
	}
	return r.Object == "*" || matchAny(r.Object, c.Name, c.Object, c.Makes)
}

// strikes says whether the rule is to strike the request that it has just counted.
func (r *rule) strikes() bool {
	if r.selected <= r.Skip || r.Count > 0 && r.struck >= r.Count {
		return false
	}
	return r.random == nil || r.random.Float64() < r.Probability
}

// match is path.Match for a pattern that has been checked.
func match(pattern, text string) bool {
	if pattern == "*" {
		return true
	}
	ok, _ := path.Match(pattern, text)
	return ok
}

func matchAny(pattern string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return text != "" && match(pattern, text) })
}

// named is an object with its name.
type named struct {
	ref  types.ManagedObjectReference
	name string
}

// words are what a pattern for objects may match.
func (n named) words() []string { return []string{n.name, n.ref.String()} }
