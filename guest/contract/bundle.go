// SPDX-License-Identifier: Apache-2.0

package contract

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// BundlePath is where a guest takes its Bundle, on the port of its Endpoint: PUT with the text of EncodeBundle. A guest
// that has it answers any 2xx. HEAD answers with the header ETag, the quoted digest of the bundle that the guest has, or
// with 404 while it has none, so that a bundle is not sent twice. A guest takes a bundle from nobody but a client whose
// certificate the CA of KeyCA has signed, keeps it in memory only, and makes a new key for its Endpoint when it boots.
const BundlePath = "/wolfpack/v1/bundle"

// MaxBundleSize bounds the text of a bundle, in bytes. A ConfigMap or Secret has at most 1 MiB.
const MaxBundleSize = 16 << 20

// Bundle is what a pod refers to, as it is now: each ConfigMap and Secret that its environment, its volumes and its image
// pulls name and that exists, the tokens that its volumes project, the Services that its environment is about, and the ways
// to registries. It goes from the provider to the guest, over mutual TLS and on no other way; each bundle replaces the one
// before. Nothing of it may be logged.
type Bundle struct {
	UID types.UID `json:"uid"` // of the pod; a guest refuses another pod's bundle
	// Pod is the pod as it is now, without what only an API server reads: its labels, annotations, images and ephemeral
	// containers may have changed since the VM was made. None means that it is as KeyPod says.
	Pod        *corev1.Pod        `json:"pod,omitempty"`
	HostIPs    []string           `json:"hostIPs,omitempty"` // of the node, the first for status.hostIP
	ConfigMaps []corev1.ConfigMap `json:"configMaps,omitempty"`
	Secrets    []corev1.Secret    `json:"secrets,omitempty"`
	Services   []corev1.Service   `json:"services,omitempty"`
	// Tokens are of the pod's service account and bound to the pod, one for each pair of audience and lifetime that its
	// projected volumes ask for. Spec.Audiences and Spec.ExpirationSeconds are as the volume has them, so that no audience
	// stands for the API server's own; Status is the API server's answer. The provider sends a new one in good time before
	// one expires: when four fifths of its lifetime are over, a kubelet begins to ask for it.
	Tokens []authenticationv1.TokenRequest `json:"tokens,omitempty"`
	// Registries are the registries of images that a guest must treat in another way than any other.
	Registries []Registry `json:"registries,omitempty"`
}

// Registry says how a guest gets at a registry of images. Passwords are in the Secrets that the pod names for pulls.
type Registry struct {
	Host     string   `json:"host"`               // as image references have it, such as registry.example.com:5000; docker.io is Docker Hub
	Mirrors  []string `json:"mirrors,omitempty"`  // URLs that are asked before the registry itself, in this order
	CA       string   `json:"ca,omitempty"`       // PEM of the CAs that the mirrors' certificates, and the registry's own, may be of, beside the usual ones
	Insecure bool     `json:"insecure,omitempty"` // any certificate will do, and plain HTTP if there is none
}

// String says what the bundle has, and nothing of what is in it: a bundle may end up in a log by mistake.
func (b Bundle) String() string {
	return fmt.Sprintf("bundle of pod %s: %d ConfigMaps, %d Secrets, %d Services, %d tokens",
		b.UID, len(b.ConfigMaps), len(b.Secrets), len(b.Services), len(b.Tokens))
}

// GoString is String, for %#v.
func (b Bundle) GoString() string { return b.String() }

// EncodeBundle returns the text of the bundle and its digest, the lower-case hex SHA-256 of the text. The same objects in
// any order give the same text.
func EncodeBundle(b Bundle) (text []byte, digest string, err error) {
	b.ConfigMaps = slices.Clone(b.ConfigMaps)
	b.Secrets = slices.Clone(b.Secrets)
	b.Services = slices.Clone(b.Services)
	b.Tokens = slices.Clone(b.Tokens)
	b.Registries = slices.Clone(b.Registries)
	if b.Pod != nil {
		b.Pod = lean(b.Pod)
	}
	slices.SortStableFunc(b.ConfigMaps, func(x, y corev1.ConfigMap) int { return byName(&x.ObjectMeta, &y.ObjectMeta) })
	slices.SortStableFunc(b.Secrets, func(x, y corev1.Secret) int { return byName(&x.ObjectMeta, &y.ObjectMeta) })
	slices.SortStableFunc(b.Services, func(x, y corev1.Service) int { return byName(&x.ObjectMeta, &y.ObjectMeta) })
	slices.SortStableFunc(b.Tokens, byRequest)
	slices.SortStableFunc(b.Registries, func(x, y Registry) int { return cmp.Compare(x.Host, y.Host) })
	text, err = json.Marshal(b)
	if err != nil {
		return nil, "", fmt.Errorf("encode the %s: %w", b, err)
	}
	if len(text) > MaxBundleSize {
		return nil, "", fmt.Errorf("the %s has %d bytes, more than the %d that a guest takes", b, len(text), MaxBundleSize)
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}

func byName(x, y *metav1.ObjectMeta) int {
	return cmp.Or(cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
}

func byRequest(x, y authenticationv1.TokenRequest) int {
	return cmp.Or(slices.Compare(x.Spec.Audiences, y.Spec.Audiences),
		cmp.Compare(ptr.Deref(x.Spec.ExpirationSeconds, 0), ptr.Deref(y.Spec.ExpirationSeconds, 0)))
}

// lean is what a guest needs of a pod: what it has itself reported would only make each bundle another one.
func lean(pod *corev1.Pod) *corev1.Pod {
	lean := pod.DeepCopy()
	lean.ManagedFields, lean.ResourceVersion, lean.Status = nil, "", corev1.PodStatus{}
	return lean
}

// DecodeBundle is the reverse of EncodeBundle: it reads a bundle and returns its digest. It refuses a text that is too
// large and a bundle without a UID. Its errors tell nothing of the text.
func DecodeBundle(r io.Reader) (_ *Bundle, digest string, _ error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBundleSize+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the bundle: %w", err)
	}
	if len(text) > MaxBundleSize {
		return nil, "", fmt.Errorf("the bundle has more than %d bytes", MaxBundleSize)
	}
	b := new(Bundle)
	if json.Unmarshal(text, b) != nil {
		return nil, "", fmt.Errorf("the bundle is not the JSON of one") // the parser's own words might quote a secret
	}
	if b.UID == "" {
		return nil, "", fmt.Errorf("the bundle has no uid of a pod")
	}
	sum := sha256.Sum256(text)
	return b, hex.EncodeToString(sum[:]), nil
}
