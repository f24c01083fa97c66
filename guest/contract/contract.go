// SPDX-License-Identifier: Apache-2.0

// Package contract is the guest contract, version 1: what the provider and the program inside a pod VM say to each other
// through the VM's guestinfo variables. Both sides, and the simulated guests of tests/vcsim, use this one schema.
//
//	key                           written by   value
//	guestinfo.wolfpack.version    provider     "1"
//	guestinfo.wolfpack.pod        provider     base64 of gzip of the JSON of a v1.Pod
//	guestinfo.wolfpack.ca         provider     PEM of the CA that signed the provider's client certificate
//	guestinfo.wolfpack.endpoint   guest        JSON of Endpoint
//	guestinfo.wolfpack.status     guest        JSON of Status
//
// Everyone with read access to the VM can read these variables, so nothing secret may go into them: what the pod refers to
// comes to the guest over mutual TLS, as a Bundle at BundlePath. On the port of its endpoint it serves the kubelet's own
// paths too, and what the kubelet has to say of the pod at EventsPath, to the provider only. A guest is asked to stop by vSphere's ShutdownGuest: it stops its containers, writes a
// terminal status and powers the VM off.
package contract

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"sync"

	corev1 "k8s.io/api/core/v1"
)

// Version is the contract's version, the value of KeyVersion.
const Version = "1"

// The guestinfo variables of the contract.
const (
	KeyVersion  = "guestinfo.wolfpack.version"
	KeyPod      = "guestinfo.wolfpack.pod"
	KeyCA       = "guestinfo.wolfpack.ca"
	KeyEndpoint = "guestinfo.wolfpack.endpoint"
	KeyStatus   = "guestinfo.wolfpack.status"
)

// maxPodSize bounds the JSON of a decoded pod, in bytes. etcd stores no object above 1.5 MiB by default, so nothing
// larger can be a pod; the bound keeps a hostile value from filling memory.
const maxPodSize = 4 << 20

// Endpoint says where the program inside the pod VM listens, and how to know that it is the one that answers.
type Endpoint struct {
	Port   int    `json:"port"`   // TCP port on the VM's address
	SHA256 string `json:"sha256"` // lower-case hex SHA-256 of the DER of the server certificate
}

// Status is what the guest reports of its pod. Sequence grows by at least one with each report, so that a reader can
// tell an old report from a new one.
type Status struct {
	Sequence uint64           `json:"sequence"`
	Events   uint64           `json:"events,omitempty"` // number of the newest event at EventsPath; 0 while there is none
	Pod      corev1.PodStatus `json:"pod"`
}

// zippers are used again and again: a new one is close to a megabyte.
var zippers = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// EncodePod returns the value of KeyPod for pod. Managed fields, which only an API server reads, are left out. The same
// pod always gives the same text.
func EncodePod(pod *corev1.Pod) (string, error) {
	lean := pod.DeepCopy()
	lean.ManagedFields = nil
	text, err := json.Marshal(lean)
	if err != nil {
		return "", fmt.Errorf("encode pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	var buf bytes.Buffer
	zip := zippers.Get().(*gzip.Writer)
	defer zippers.Put(zip)
	zip.Reset(&buf)
	if _, err := zip.Write(text); err != nil {
		return "", fmt.Errorf("compress pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	if err := zip.Close(); err != nil {
		return "", fmt.Errorf("compress pod %s/%s: %w", pod.Namespace, pod.Name, err)
	}
	return base64.StdEncoding.EncodeToString(buf.Bytes()), nil
}

// DecodePod is the reverse of EncodePod. It refuses a value that unpacks to more than 4 MiB.
func DecodePod(value string) (*corev1.Pod, error) {
	zip, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, bytes.NewReader([]byte(value))))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64 of gzip: %w", KeyPod, err)
	}
	text, err := io.ReadAll(io.LimitReader(zip, maxPodSize+1))
	if err != nil {
		return nil, fmt.Errorf("%s does not unpack: %w", KeyPod, err)
	}
	if len(text) > maxPodSize {
		return nil, fmt.Errorf("%s unpacks to more than %d bytes", KeyPod, maxPodSize)
	}
	pod := new(corev1.Pod)
	if err := json.Unmarshal(text, pod); err != nil {
		return nil, fmt.Errorf("%s is not a pod: %w", KeyPod, err)
	}
	return pod, nil
}

// EncodeStatus returns the value of KeyStatus.
func EncodeStatus(status Status) (string, error) {
	text, err := json.Marshal(status)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", KeyStatus, err)
	}
	return string(text), nil
}

// DecodeStatus is the reverse of EncodeStatus. A status without a sequence number or a phase is an error.
func DecodeStatus(value string) (Status, error) {
	var status Status
	if err := json.Unmarshal([]byte(value), &status); err != nil {
		return Status{}, fmt.Errorf("%s is not a status: %w", KeyStatus, err)
	}
	if status.Sequence == 0 {
		return Status{}, fmt.Errorf("%s has no sequence number; the first is 1", KeyStatus)
	}
	if status.Pod.Phase == "" {
		return Status{}, fmt.Errorf("%s has no phase", KeyStatus)
	}
	return status, nil
}

// EncodeEndpoint returns the value of KeyEndpoint.
func EncodeEndpoint(endpoint Endpoint) (string, error) {
	text, err := json.Marshal(endpoint)
	if err != nil {
		return "", fmt.Errorf("encode %s: %w", KeyEndpoint, err)
	}
	return string(text), nil
}

// DecodeEndpoint is the reverse of EncodeEndpoint. A port outside 1–65535 or a digest that is not 64 hex digits is an
// error.
func DecodeEndpoint(value string) (Endpoint, error) {
	var endpoint Endpoint
	if err := json.Unmarshal([]byte(value), &endpoint); err != nil {
		return Endpoint{}, fmt.Errorf("%s is not an endpoint: %w", KeyEndpoint, err)
	}
	if endpoint.Port < 1 || endpoint.Port > 65535 {
		return Endpoint{}, fmt.Errorf("%s has port %d, want 1 to 65535", KeyEndpoint, endpoint.Port)
	}
	if digest, err := hex.DecodeString(endpoint.SHA256); err != nil || len(digest) != 32 {
		return Endpoint{}, fmt.Errorf("%s has sha256 %q, want 64 hex digits", KeyEndpoint, endpoint.SHA256)
	}
	return endpoint, nil
}
