// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"wolfpack/tests/pki"
)

// certificates are what the server proves itself with.
type certificates struct {
	server tls.Certificate
	ca     []byte         // PEM of the CA made for the server; nil if the certificate was given
	roots  *x509.CertPool // trusts that CA, or the given certificate
}

// newCertificates reads the given certificate and key, or makes a pair for the listen address if there are none.
func newCertificates(listen, certFile, keyFile string) (certificates, error) {
	if certFile != "" || keyFile != "" {
		return readCertificates(certFile, keyFile)
	}
	hosts, err := hostsOf(listen)
	if err != nil {
		return certificates{}, err
	}
	ca, err := pki.NewCA("vCenter stand-in CA")
	if err != nil {
		return certificates{}, err
	}
	pair, err := ca.Server(hosts[0], hosts[1:]...)
	if err != nil {
		return certificates{}, err
	}
	server, err := pair.TLS()
	return certificates{server: server, ca: ca.Cert, roots: ca.Pool()}, err
}

func readCertificates(certFile, keyFile string) (certificates, error) {
	server, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return certificates{}, fmt.Errorf("read certificate %q and key %q: %w", certFile, keyFile, err)
	}
	text, err := os.ReadFile(certFile)
	if err != nil {
		return certificates{}, fmt.Errorf("read certificate: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return certificates{server: server, roots: roots}, nil
}

// hostsOf returns the names and addresses by which a client may call a server that listens on address.
func hostsOf(address string) ([]string, error) {
	loopback := []string{"localhost", "127.0.0.1", "::1"}
	if address == "" {
		return loopback, nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w; want HOST:PORT", address, err)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return append([]string{host}, loopback...), nil
	}
	hosts := loopback
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list this machine's addresses: %w", err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok {
			hosts = append(hosts, ip.IP.String())
		}
	}
	return hosts, nil
}
