// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Info is what one needs to use a lab. The ready file holds it as JSON.
type Info struct {
	// Kubeconfig is an administrator's kubeconfig file.
	Kubeconfig string `json:"kubeconfig"`
	// Govc has the environment variables for govc and wolfpack: GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD, GOVC_TLS_CA_CERTS,
	// GOVC_DATACENTER and so on, as far as they are needed.
	Govc map[string]string `json:"govc"`
	// Registry is the container registry; absent if there is none.
	Registry *Registry `json:"registry,omitempty"`
	// Node and VCH are the names of the virtual node and its virtual container host; empty if there is none.
	Node string `json:"node"`
	VCH  string `json:"vch"`
	// Pids has the process ids of the parts that the lab started, by name: etcd, kube-apiserver, kube-controller-manager,
	// kube-scheduler, vcsim, registry, node.
	Pids map[string]int `json:"pids"`
	// Logs is the folder with a log of each part.
	Logs string `json:"logs"`
	// Binaries has the paths of wolfpack, govc and kubectl.
	Binaries map[string]string `json:"binaries"`
}

// Registry is a container registry that wants TLS and a password.
type Registry struct {
	// Address is host:port, as image references begin.
	Address string `json:"address"`
	// CA is the file with the certificate authority to trust.
	CA       string `json:"ca"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// Env returns the environment variables that point kubectl, govc and wolfpack to the lab, as key=value, sorted.
func (i Info) Env() []string {
	env := []string{"KUBECONFIG=" + i.Kubeconfig}
	for k, v := range i.Govc {
		env = append(env, k+"="+v)
	}
	slices.Sort(env)
	return env
}

func (i Info) clone() Info {
	i.Govc, i.Pids, i.Binaries = maps.Clone(i.Govc), maps.Clone(i.Pids), maps.Clone(i.Binaries)
	if i.Registry != nil {
		registry := *i.Registry
		i.Registry = &registry
	}
	return i
}

// ReadInfo reads a ready file.
func ReadInfo(path string) (Info, error) {
	var i Info
	data, err := os.ReadFile(path)
	if err != nil {
		return i, fmt.Errorf("read ready file: %w", err)
	}
	if err := json.Unmarshal(data, &i); err != nil {
		return i, fmt.Errorf("read ready file %s: %w", path, err)
	}
	return i, nil
}

// write writes a ready file. It appears whole or not at all, readable for this user only: it has passwords in it.
func (i Info) write(path string) error {
	data, err := json.MarshalIndent(i, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(tmp, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
