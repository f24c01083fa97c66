// SPDX-License-Identifier: Apache-2.0

// Package pki is a small certificate authority for tests and the lab, so that every connection there is verified as it
// would be in production. Keys are ECDSA P-256. A CA may be used by several goroutines at once.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// lifetime is how long everything made here is valid: longer than any lab lives.
const lifetime = 365 * 24 * time.Hour

// CA is a self-signed certificate authority.
type CA struct {
	Pair
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Pair is a certificate and its private key, both PEM.
type Pair struct{ Cert, Key []byte }

// NewCA makes an authority with the common name name.
func NewCA(name string) (*CA, error) {
	template, err := newTemplate(pkix.Name{CommonName: name})
	if err != nil {
		return nil, fmt.Errorf("make CA %q: %w", name, err)
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	ca := &CA{}
	if ca.Pair, ca.key, err = issue(template, template, nil); err != nil {
		return nil, fmt.Errorf("make CA %q: %w", name, err)
	}
	block, _ := pem.Decode(ca.Cert)
	if ca.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("make CA %q: %w", name, err)
	}
	return ca, nil
}

// Server makes a server certificate for IP addresses and DNS names. The first is the common name as well.
func (ca *CA) Server(host string, more ...string) (Pair, error) {
	template, err := newTemplate(pkix.Name{CommonName: host})
	if err != nil {
		return Pair{}, fmt.Errorf("make server certificate for %q: %w", host, err)
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, h := range append([]string{host}, more...) {
		if ip := net.ParseIP(h); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, h)
		}
	}
	pair, _, err := issue(template, ca.cert, ca.key)
	if err != nil {
		return Pair{}, fmt.Errorf("make server certificate for %q: %w", host, err)
	}
	return pair, nil
}

// Client makes a client certificate. Kubernetes takes the common name for the user and the organizations for its groups.
func (ca *CA) Client(cn string, orgs ...string) (Pair, error) {
	template, err := newTemplate(pkix.Name{CommonName: cn, Organization: orgs})
	if err != nil {
		return Pair{}, fmt.Errorf("make client certificate for %q: %w", cn, err)
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	pair, _, err := issue(template, ca.cert, ca.key)
	if err != nil {
		return Pair{}, fmt.Errorf("make client certificate for %q: %w", cn, err)
	}
	return pair, nil
}

// Pool returns a new pool that trusts only this authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// TLS returns the pair in the form that crypto/tls uses.
func (p Pair) TLS() (tls.Certificate, error) { return tls.X509KeyPair(p.Cert, p.Key) }

// WriteFiles writes the certificate, and the key readable for this user only. An empty path writes nothing.
func (p Pair) WriteFiles(certFile, keyFile string) error {
	for _, f := range []struct {
		path string
		data []byte
		mode os.FileMode
	}{{certFile, p.Cert, 0o644}, {keyFile, p.Key, 0o600}} {
		if f.path == "" {
			continue
		}
		if err := os.WriteFile(f.path, f.data, f.mode); err != nil {
			return fmt.Errorf("write certificate: %w", err)
		}
	}
	return nil
}

// newTemplate returns what all certificates have in common.
func newTemplate(subject pkix.Name) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      subject,
		NotBefore:    now.Add(-time.Hour), // room for clocks that disagree
		NotAfter:     now.Add(lifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}, nil
}

// issue makes a key and signs template with the parent's key, or with the new one if that is nil.
func issue(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (Pair, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, nil, err
	}
	if signer == nil {
		signer = key
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return Pair{}, nil, err
	}
	// SEC 1 ("EC PRIVATE KEY") is the form that Kubernetes reads for service account keys as well as for TLS.
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Pair{}, nil, err
	}
	return Pair{
		Cert: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		Key:  pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}),
	}, key, nil
}
