// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"wolfpack/tests/lab"
	"wolfpack/tests/process"
	"wolfpack/tests/vcsim"
	"wolfpack/vch"
	"wolfpack/vsphere"
)

const (
	nodeName = "bench"
	patience = 10 * time.Minute // for what is measured; a machine can be slow, not that slow
)

// setting is a lab with a VCH and no node, whose node is started when the measurement wants it.
type setting struct {
	lab  *lab.Lab
	info lab.Info
	kube kubernetes.Interface
	vc   *vsphere.Client
	host *vch.VCH
	node *process.Process // nil while it does not run
	dir  string
}

// newSetting starts a lab. The caller closes it.
func newSetting(ctx context.Context, o options) (s *setting, err error) {
	s = &setting{}
	defer func() {
		if err != nil {
			s.close(context.WithoutCancel(ctx))
		}
	}()
	if s.dir, err = os.MkdirTemp("", "wolfpack-bench-"); err != nil {
		return s, err
	}
	bin, err := filepath.Abs(o.bin)
	if err != nil {
		return s, err
	}
	s.lab, err = lab.Up(ctx, lab.Options{Dir: filepath.Join(s.dir, "lab"), Binaries: lab.BinariesIn(bin), NoRegistry: true, NoNode: true})
	if err != nil {
		return s, err
	}
	s.info = s.lab.Info()
	config, err := clientcmd.BuildConfigFromFlags("", s.info.Kubeconfig)
	if err != nil {
		return s, err
	}
	config.QPS = -1 // no limit
	if s.kube, err = kubernetes.NewForConfig(config); err != nil {
		return s, err
	}
	s.vc, err = vsphere.Connect(ctx, vsphere.Config{
		URL: s.info.Govc["GOVC_URL"], Username: s.info.Govc["GOVC_USERNAME"], Password: s.info.Govc["GOVC_PASSWORD"],
		CACerts: s.info.Govc["GOVC_TLS_CA_CERTS"], Datacenter: s.info.Govc["GOVC_DATACENTER"],
	})
	if err != nil {
		return s, err
	}
	s.host, err = vch.Find(ctx, s.vc, s.info.VCH)
	return s, err
}

func (s *setting) close(ctx context.Context) {
	_ = s.stopNode(ctx)
	if s.vc != nil {
		_ = s.vc.Logout(ctx)
	}
	if s.lab != nil {
		_ = s.lab.Stop(ctx)
	}
	_ = os.RemoveAll(s.dir)
}

// plain is a baseline program on the same vCenter.
func (s *setting) plain(ctx context.Context) (*plain, error) {
	target, err := url.Parse(s.info.Govc["GOVC_URL"])
	if err != nil {
		return nil, err
	}
	target.User = url.UserPassword(s.info.Govc["GOVC_USERNAME"], s.info.Govc["GOVC_PASSWORD"])
	return newPlain(ctx, target, s.info.Govc["GOVC_TLS_CA_CERTS"], s.host)
}

// startNode starts the virtual node. It says nothing about its being ready.
func (s *setting) startNode(maxPods int) (err error) {
	s.node, err = process.Start(process.Spec{
		Name: "node", Path: s.info.Binaries["wolfpack"], Log: s.nodeLog(), Env: append(os.Environ(), s.info.Env()...),
		Args: []string{
			"node", "--vch", s.info.VCH, "--node-name", nodeName, "--address", "127.0.0.1", "--max-pods", fmt.Sprint(maxPods), "--kubelet-port", "0",
		},
	})
	return err
}

// startReadyNode starts the virtual node and returns when it takes pods, by its own word.
func (s *setting) startReadyNode(ctx context.Context, maxPods int) error {
	before, err := os.ReadFile(s.nodeLog())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := s.startNode(maxPods); err != nil {
		return err
	}
	return process.Until(ctx, s.node, "the node takes pods", func(context.Context) error {
		log, err := os.ReadFile(s.nodeLog())
		if err == nil && !strings.Contains(string(log[len(before):]), "The virtual node takes pods") {
			err = errors.New("its log does not say so")
		}
		return err
	})
}

func (s *setting) nodeLog() string { return filepath.Join(s.dir, "node.log") }

// settledMemory is the memory of the provider once it has nothing to do: it no longer grows, and what Go's runtime gives back
// to the system within half a minute, it has.
func (s *setting) settledMemory(ctx context.Context) (float64, error) {
	if err := pause(ctx, quiet); err != nil {
		return 0, err
	}
	used, err := usageOf(s.node.Pid())
	return used.memory, err
}

func (s *setting) stopNode(ctx context.Context) error {
	if s.node == nil {
		return nil
	}
	err := s.node.Stop(ctx)
	s.node = nil
	return err
}

// bindPods creates pods that are bound to the node already.
func (s *setting) bindPods(ctx context.Context, from, to int) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i := from; i < to; i++ {
		group.Go(func() error {
			_, err := s.kube.CoreV1().Pods("default").Create(ctx, &corev1.Pod{
				ObjectMeta: metav1.ObjectMeta{Name: podName(i)},
				Spec: corev1.PodSpec{
					NodeName:                     nodeName,
					AutomountServiceAccountToken: new(bool),
					Tolerations:                  []corev1.Toleration{{Operator: corev1.TolerationOpExists}},
					Containers:                   []corev1.Container{{Name: "app", Image: "app"}},
				},
			}, metav1.CreateOptions{})
			return err
		})
	}
	return group.Wait()
}

func podName(i int) string { return fmt.Sprintf("pod-%d", i) }

// awaitRunning returns when that many pods are Running.
func (s *setting) awaitRunning(ctx context.Context, pods int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	running := make(chan struct{}, pods)
	factory := informers.NewSharedInformerFactoryWithOptions(s.kube, 0, informers.WithTweakListOptions(func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("status.phase", string(corev1.PodRunning)).String()
	}))
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { running <- struct{}{} },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	defer factory.Shutdown()
	defer cancel()
	for n := range pods {
		select {
		case <-running:
		case <-s.node.Done():
			return fmt.Errorf("the node ended: %w\n%s", s.node.Err(), s.node.Tail())
		case <-ctx.Done():
			return fmt.Errorf("%d of %d pods Running: %w", n, pods, ctx.Err())
		}
	}
	return nil
}

// journal is what the stand-in has entered of requests so far: all counts, and the requests after that of a number.
func (s *setting) journal(ctx context.Context, since uint64) (vcsim.Journaled, error) {
	var journal vcsim.Journaled
	target, err := url.Parse(s.info.Govc["GOVC_URL"])
	if err != nil {
		return journal, err
	}
	target.Path = vcsim.ControlPath + "journal"
	target.RawQuery = fmt.Sprintf("since=%d", since)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return journal, err
	}
	request.SetBasicAuth(s.info.Govc["GOVC_USERNAME"], s.info.Govc["GOVC_PASSWORD"])
	client := http.Client{Transport: s.vc.DefaultTransport()}
	response, err := client.Do(request)
	if err != nil {
		return journal, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return journal, fmt.Errorf("read the journal: %s", response.Status)
	}
	return journal, json.NewDecoder(response.Body).Decode(&journal)
}

// usages are what each part of the lab has used, and this program.
func (s *setting) usages() (map[string]usage, error) {
	used := map[string]usage{}
	own, err := usageOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	used["bench"] = own
	for name, pid := range s.info.Pids {
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		used[name] = u
	}
	if s.node != nil {
		u, err := usageOf(s.node.Pid())
		if err != nil {
			return nil, err
		}
		used["node"] = u
	}
	return used, nil
}
