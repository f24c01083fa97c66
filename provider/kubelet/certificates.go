// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"
	csr "k8s.io/client-go/util/certificate"
	"k8s.io/klog/v2"
)

// certificate is the endpoint's own: where it comes from, and how it stays valid.
type certificate interface {
	// Get returns the present certificate, for a TLS handshake.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Ready is closed when Get has one to return.
	Ready() <-chan struct{}
	// Run keeps it fresh until ctx ends.
	Run(ctx context.Context)
}

// newCertificate returns the certificate that the configuration asks for.
func newCertificate(c Config) (certificate, error) {
	switch {
	case c.CertFile != "":
		return newFileCertificate(c.CertFile, c.KeyFile)
	case c.SelfSigned:
		return newSelfSignedCertificate(c.NodeName, c.Addresses)
	default:
		return newSignedCertificate(c)
	}
}

// available is the Ready of a certificate that is there from the beginning.
type available struct{}

func (available) Ready() <-chan struct{} { return closed }

var closed = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// fileCertificate is read from two files, again whenever they change.
type fileCertificate struct {
	available
	files   *dynamiccertificates.DynamicCertKeyPairContent
	current atomic.Pointer[tls.Certificate]
}

func newFileCertificate(certFile, keyFile string) (certificate, error) {
	if _, err := tls.LoadX509KeyPair(certFile, keyFile); err != nil {
		return nil, fmt.Errorf("tls-cert-file %s, tls-private-key-file %s: %w", certFile, keyFile, err)
	}
	files, err := dynamiccertificates.NewDynamicServingContentFromFiles("kubelet-serving", certFile, keyFile)
	if err != nil {
		return nil, err
	}
	f := &fileCertificate{files: files}
	f.Enqueue()
	files.AddListener(f)
	return f, nil
}

// Enqueue takes what is in the files. It is called when that has changed, and only for a certificate with its own key.
func (f *fileCertificate) Enqueue() {
	if pair, err := tls.X509KeyPair(f.files.CurrentCertKeyContent()); err == nil {
		f.current.Store(&pair)
	}
}

func (f *fileCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.current.Load(), nil
}

func (f *fileCertificate) Run(ctx context.Context) { f.files.Run(ctx, 1) }

// selfSignedCertificate vouches for itself, which is worth encryption and nothing more. It is made anew with each start
// and before it expires.
type selfSignedCertificate struct {
	available
	make func() (*tls.Certificate, error)

	mu      sync.Mutex // guards current
	current *tls.Certificate
}

func newSelfSignedCertificate(node string, addresses []corev1.NodeAddress) (certificate, error) {
	names, ips := split(addresses)
	s := &selfSignedCertificate{make: func() (*tls.Certificate, error) {
		certPEM, keyPEM, err := cert.GenerateSelfSignedCertKey(node, ips, names)
		if err != nil {
			return nil, err
		}
		pair, err := tls.X509KeyPair(certPEM, keyPEM)
		return &pair, err
	}}
	if _, err := s.Get(nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *selfSignedCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && time.Until(s.current.Leaf.NotAfter) > 24*time.Hour {
		return s.current, nil
	}
	var err error
	s.current, err = s.make()
	return s.current, err
}

func (s *selfSignedCertificate) Run(ctx context.Context) { <-ctx.Done() }

// signedCertificate is signed by the cluster, by way of a CertificateSigningRequest that somebody has to approve: an admin,
// or a controller that a cluster has for it. Kubernetes approves none of this signer by itself. It is renewed in the last
// third of its life. It is its own store, to learn when there is a new one.
type signedCertificate struct {
	csr.Store // where it is kept: files or memory

	node    string
	manager csr.Manager
	current atomic.Pointer[tls.Certificate]
	ready   chan struct{}
	once    sync.Once // closes ready
}

func newSignedCertificate(c Config) (certificate, error) {
	names, ips := split(c.Addresses)
	if len(ips) == 0 {
		return nil, errors.New("the node has no IP address that a certificate could be for")
	}
	store, err := newStore(c.CertDir, c.NodeName)
	if err != nil {
		return nil, fmt.Errorf("cert-dir %s: %w", c.CertDir, err)
	}
	s := &signedCertificate{Store: store, node: c.NodeName, ready: make(chan struct{})}
	s.manager, err = csr.NewManager(&csr.Config{
		Name:        "kubelet-serving " + c.NodeName,
		ClientsetFn: func(*tls.Certificate) (kubernetes.Interface, error) { return c.Client, nil },
		SignerName:  certificatesv1.KubeletServingSignerName,
		GetUsages:   csr.DefaultKubeletServingGetUsages,
		// The signer insists on this name and organization, whoever asks. That it is compared with what was signed before,
		// so that new addresses get a new certificate, is GetTemplate's difference to Template.
		GetTemplate: func() *x509.CertificateRequest {
			return &x509.CertificateRequest{
				Subject:  pkix.Name{CommonName: "system:node:" + c.NodeName, Organization: []string{"system:nodes"}},
				DNSNames: names, IPAddresses: ips,
			}
		},
		CertificateStore: s,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Current is the certificate of an earlier start.
func (s *signedCertificate) Current() (*tls.Certificate, error) { return s.use(s.Store.Current()) }

// Update takes a new certificate.
func (s *signedCertificate) Update(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	return s.use(s.Store.Update(certPEM, keyPEM))
}

func (s *signedCertificate) use(pair *tls.Certificate, err error) (*tls.Certificate, error) {
	if err == nil && time.Now().Before(pair.Leaf.NotAfter) {
		s.current.Store(pair)
		s.once.Do(func() { close(s.ready) })
	}
	return pair, err
}

func (s *signedCertificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if current := s.current.Load(); current != nil {
		return current, nil
	}
	return nil, fmt.Errorf("node %s has no serving certificate: its CertificateSigningRequest waits for approval", s.node)
}

func (s *signedCertificate) Ready() <-chan struct{} { return s.ready }

// Run requests certificates, and says once that one is missed, and once that it is there.
func (s *signedCertificate) Run(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	logger := klog.FromContext(ctx)
	s.manager.Start()
	defer s.manager.Stop()
	if s.current.Load() == nil {
		logger.Info("The kubelet endpoint waits for its certificate; until then kubectl logs, exec, attach and port-forward get a "+
			"TLS error. Approve its request: kubectl get csr, kubectl certificate approve NAME",
			"signer", certificatesv1.KubeletServingSignerName, "subject", "system:node:"+s.node)
	}
	select {
	case <-s.ready:
		logger.Info("The kubelet endpoint has a certificate", "until", s.current.Load().Leaf.NotAfter)
	case <-ctx.Done():
	}
	<-ctx.Done()
}

// newStore is where a certificate is kept: files with the node's name in dir, or memory.
func newStore(dir, node string) (csr.Store, error) {
	if dir == "" {
		return &memoryStore{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return csr.NewFileStore("kubelet-server-"+node, dir, dir, "", "")
}

// memoryStore keeps a certificate while the program runs. Its manager calls it from one goroutine at a time.
type memoryStore struct{ pair *tls.Certificate }

func (m *memoryStore) Current() (*tls.Certificate, error) {
	if m.pair == nil {
		none := csr.NoCertKeyError("none was signed since the start")
		return nil, &none
	}
	return m.pair, nil
}

func (m *memoryStore) Update(certPEM, keyPEM []byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, err
	}
	m.pair = &pair
	return m.pair, nil
}

// split sorts the addresses of a node into what a certificate calls DNS names and IP addresses.
func split(addresses []corev1.NodeAddress) (names []string, ips []net.IP) {
	for _, a := range addresses {
		if ip := net.ParseIP(a.Address); ip != nil {
			ips = append(ips, ip)
		} else {
			names = append(names, a.Address)
		}
	}
	return names, ips
}

// clientCA are the authorities whose client certificates are believed.
type clientCA interface {
	dynamiccertificates.CAContentProvider
	// Run follows their changes until ctx ends.
	Run(ctx context.Context, workers int)
}

// newClientCA takes them from a file, or from where the API server publishes its own for servers like this one.
func newClientCA(c Config) (clientCA, error) {
	if c.ClientCAFile == "" {
		published, err := dynamiccertificates.NewDynamicCAFromConfigMapController("kubelet-client-ca", metav1.NamespaceSystem,
			"extension-apiserver-authentication", "client-ca-file", c.Client)
		if err != nil {
			return nil, err
		}
		return published, nil
	}
	if _, err := cert.NewPool(c.ClientCAFile); err != nil {
		return nil, fmt.Errorf("client-ca-file %s: %w", c.ClientCAFile, err)
	}
	file, err := dynamiccertificates.NewDynamicCAContentFromFile("kubelet-client-ca", c.ClientCAFile)
	if err != nil {
		return nil, err
	}
	return file, nil
}
