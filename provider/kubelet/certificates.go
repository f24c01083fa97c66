// SPDX-License-Identifier: Apache-2.0

package kubelet

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/certificate"
	"k8s.io/client-go/util/certificate/csr"
	"k8s.io/client-go/util/keyutil"
	"k8s.io/klog/v2"
)

// servingCertificate is the endpoint's own: where it comes from, and how it stays valid.
type servingCertificate interface {
	// Get returns the present certificate, for a TLS handshake.
	Get(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// Ready is closed when Get has one to return.
	Ready() <-chan struct{}
	// Run keeps it fresh until ctx ends.
	Run(ctx context.Context)
}

// newCertificate returns the certificate that the configuration asks for.
func newCertificate(c Config) (servingCertificate, error) {
	switch {
	case c.CertFile != "":
		return newFileCertificate(c.CertFile, c.KeyFile)
	case c.SelfSigned:
		own, err := newSelfSignedCertificate(c.NodeName, c.Addresses)
		if err != nil {
			return nil, err
		}
		return own, nil
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

func newFileCertificate(certFile, keyFile string) (servingCertificate, error) {
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

func newSelfSignedCertificate(node string, addresses []corev1.NodeAddress) (*selfSignedCertificate, error) {
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
// third of its life, and when it is for other addresses than the node has.
//
// Before that the endpoint signs for itself: a health check wants no more, nor does a cluster that verifies no kubelet.
//
// client-go's certificate.Manager does the same, but it cannot be stopped while it waits for the time to renew.
type signedCertificate struct {
	*selfSignedCertificate // until there is another

	client   kubernetes.Interface
	store    certificate.Store // where it is kept: files or memory
	template *x509.CertificateRequest

	current atomic.Pointer[tls.Certificate]
	due     time.Time // when it must be renewed; Run's alone
	ready   chan struct{}
	once    sync.Once // closes ready
}

// Pauses between two requests that were denied, failed or forgotten, and how long one waits for approval. Kubernetes removes
// a request that waits for a day.
const (
	firstRequestPause = 2 * time.Second
	lastRequestPause  = time.Minute
	approvalTimeout   = 24 * time.Hour
)

func newSignedCertificate(c Config) (servingCertificate, error) {
	names, ips := split(c.Addresses)
	if len(ips) == 0 {
		return nil, errors.New("the node has no IP address that a certificate could be for")
	}
	store, err := newStore(c.CertDir, c.NodeName)
	if err != nil {
		return nil, fmt.Errorf("cert-dir %s: %w", c.CertDir, err)
	}
	own, err := newSelfSignedCertificate(c.NodeName, c.Addresses)
	if err != nil {
		return nil, err
	}
	s := &signedCertificate{
		selfSignedCertificate: own, client: c.Client, store: store, ready: make(chan struct{}),
		// The signer insists on this name and organization, whoever asks.
		template: &x509.CertificateRequest{
			Subject:  pkix.Name{CommonName: "system:node:" + c.NodeName, Organization: []string{"system:nodes"}},
			DNSNames: names, IPAddresses: ips,
		},
	}
	kept, err := store.Current()
	if none := new(certificate.NoCertKeyError); err != nil && !errors.As(err, &none) {
		return nil, fmt.Errorf("cert-dir %s: %w", c.CertDir, err)
	}
	if err == nil && time.Now().Before(kept.Leaf.NotAfter) {
		s.use(kept)
	}
	return s, nil
}

// use presents a certificate from now on.
func (s *signedCertificate) use(pair *tls.Certificate) {
	s.current.Store(pair)
	s.due = renewal(pair.Leaf, s.template)
	s.once.Do(func() { close(s.ready) })
}

// renewal is when a certificate must be renewed: at once if it is not what the template asks for, else at a random time in
// the last third of its life, so that the nodes of a cluster do not all ask together.
func renewal(leaf *x509.Certificate, template *x509.CertificateRequest) time.Time {
	fits := leaf.Subject.CommonName == template.Subject.CommonName
	for _, name := range template.DNSNames {
		fits = fits && slices.Contains(leaf.DNSNames, name)
	}
	for _, ip := range template.IPAddresses {
		fits = fits && slices.ContainsFunc(leaf.IPAddresses, ip.Equal)
	}
	if !fits {
		return time.Time{}
	}
	life := float64(leaf.NotAfter.Sub(leaf.NotBefore))
	return leaf.NotBefore.Add(time.Duration(life * (0.7 + 0.2*rand.Float64())))
}

func (s *signedCertificate) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if current := s.current.Load(); current != nil {
		return current, nil
	}
	return s.selfSignedCertificate.Get(hello)
}

func (s *signedCertificate) Ready() <-chan struct{} { return s.ready }

// Run requests a certificate whenever one is due. It says once that one is missed.
func (s *signedCertificate) Run(ctx context.Context) {
	logger := klog.FromContext(ctx)
	if s.current.Load() == nil && ctx.Err() == nil {
		logger.Info("The kubelet endpoint waits for its certificate; until then an API server that verifies kubelets answers kubectl logs, "+
			"exec, attach and port-forward with a TLS error. Approve the request: kubectl get csr, kubectl certificate approve NAME",
			"signer", certificatesv1.KubeletServingSignerName, "subject", s.template.Subject.CommonName)
	}
	for pause := firstRequestPause; sleep(ctx, time.Until(s.due)); {
		err := s.request(ctx)
		if err == nil {
			pause = firstRequestPause
			logger.Info("The kubelet endpoint has a certificate", "until", s.current.Load().Leaf.NotAfter)
			continue
		}
		if ctx.Err() == nil {
			logger.Error(err, "The kubelet endpoint got no certificate and asks again", "after", pause)
		}
		if !sleep(ctx, pause) {
			return
		}
		pause = min(2*pause, lastRequestPause)
	}
}

// request asks for a certificate, with a key of its own, and waits until it is signed.
func (s *signedCertificate) request(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, approvalTimeout)
	defer cancel()
	keyPEM, err := keyutil.MakeEllipticPrivateKeyPEM()
	if err != nil {
		return err
	}
	key, err := keyutil.ParsePrivateKeyPEM(keyPEM)
	if err != nil {
		return err
	}
	request, err := cert.MakeCSRFromTemplate(key, s.template)
	if err != nil {
		return err
	}
	name, uid, err := csr.RequestCertificateWithContext(ctx, s.client, request, "", certificatesv1.KubeletServingSignerName, nil,
		certificate.DefaultKubeletServingGetUsages(key), key)
	if err != nil {
		return err
	}
	signed, err := csr.WaitForCertificate(ctx, s.client, name, uid)
	if err != nil {
		return fmt.Errorf("certificate signing request %s: %w", name, err)
	}
	pair, err := s.store.Update(signed, keyPEM)
	if err != nil {
		return fmt.Errorf("keep the certificate: %w", err)
	}
	s.use(pair)
	if s.due.IsZero() {
		return fmt.Errorf("certificate signing request %s: what was signed is not what it asks for", name)
	}
	return nil
}

// sleep returns whether the time passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newStore is where a certificate is kept: files with the node's name in dir, or memory.
func newStore(dir, node string) (certificate.Store, error) {
	if dir == "" {
		return &memoryStore{}, nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return certificate.NewFileStore("kubelet-server-"+node, dir, dir, "", "")
}

// memoryStore keeps a certificate while the program runs.
type memoryStore struct{ pair *tls.Certificate }

func (m *memoryStore) Current() (*tls.Certificate, error) {
	if m.pair == nil {
		none := certificate.NoCertKeyError("none was signed since the start")
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
