// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"wolfpack/guest/environment"
)

// Check is what a pod lacks.
type Check struct {
	Complete bool                  // nothing mandatory is missing
	Missing  map[string]string     // why a container cannot be made, by its name
	News     []environment.Problem // that were not reported before, each once
}

// reasonFailedToRead is Virtual Kubelet's reason of an object that cannot be read, before the object's kind.
const reasonFailedToRead = "FailedToReadMandatory"

// Check says what a pod that Follow was told of lacks. When that may have changed, Run's changed is called.
func (g *Guests) Check(of *corev1.Pod) Check {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pods[of.UID]
	if p == nil {
		return Check{}
	}
	source, unread, known := g.source(p)
	check := Check{Missing: map[string]string{}}
	if !known {
		check.News = p.news(unread)
		for _, problem := range unread {
			for _, container := range of.Spec.Containers {
				check.Missing[container.Name] = problem.Message
			}
		}
		return check
	}
	check.Complete = true
	note := func(container string, problems []environment.Problem) {
		for _, problem := range problems {
			if !problem.Mandatory {
				continue
			}
			check.Complete = false
			if _, there := check.Missing[container]; container != "" && !there {
				check.Missing[container] = problem.Message
			}
		}
		check.News = append(check.News, p.news(problems)...)
	}
	note("", environment.Volumes(source))
	for _, list := range [][]corev1.Container{of.Spec.InitContainers, of.Spec.Containers} {
		for i := range list {
			_, problems := environment.Resolve(&list[i], source)
			note(list[i].Name, problems)
		}
	}
	return check
}

// news returns the problems that were not reported before.
func (p *pod) news(problems []environment.Problem) []environment.Problem {
	var news []environment.Problem
	for _, problem := range problems {
		if !p.told[problem] {
			p.told[problem] = true
			news = append(news, problem)
		}
	}
	return news
}

// source is what there is of what the pod refers to. It is not known before each object was read once; unread says which
// cannot be.
func (g *Guests) source(p *pod) (_ environment.Source, unread []environment.Problem, known bool) {
	source := environment.Source{
		Pod: p.pod, HostIPs: g.config.HostIPs,
		ConfigMaps: map[string]*corev1.ConfigMap{}, Secrets: map[string]*corev1.Secret{},
	}
	known = true
	for k := range p.keys {
		value, read, err := g.objects.get(k)
		switch object := value.(type) {
		case *corev1.ConfigMap:
			source.ConfigMaps[k.name] = object
		case *corev1.Secret:
			source.Secrets[k.name] = object
		}
		known = known && read
		if !read && err != nil {
			message := fmt.Sprintf("failed to read %s %s/%s: %s", k.kind, k.namespace, k.name, err)
			unread = append(unread, environment.Problem{Reason: reasonFailedToRead + string(k.kind), Message: message, Mandatory: true})
		}
	}
	return source, unread, known
}
