// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"

	"wolfpack/errs"
)

const (
	secretPrefix = "wolfpack-guest-ca-" // and the VCH's name
	keyCert      = "ca.crt"             // PEM, in the Secret
	keyKey       = "ca.key"             // PEM, in the Secret
	vchLabel     = "wolfpack.vch"       // of the Secret
	clientName   = "wolfpack-provider"  // common name of the client certificate

	clientLifetime = 24 * time.Hour
	clockSkew      = time.Hour // by which a guest's clock may be behind
)

// forever is RFC 5280's time of a certificate that has no end: a guest must trust its CA for as long as it runs.
var forever = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)

// Authority is the CA by which the guests of one virtual container host know the provider. Its key is in a Kubernetes
// Secret and never in vCenter, so that after a restart, and after a failover, guests made earlier still trust whoever
// runs the node. It is safe for concurrent use.
type Authority struct {
	pem  []byte
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time

	mu     sync.Mutex // guards client
	client *tls.Certificate
}

// LoadAuthority returns the authority of the virtual container host called vch, which it makes if there is none. When two
// providers do that at once, both get the same one.
func LoadAuthority(ctx context.Context, client corev1client.SecretsGetter, namespace, vch string) (*Authority, error) {
	const op = "guests.LoadAuthority"
	name := secretName(vch)
	secret, err := client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		if secret, err = newSecret(name, vch); err != nil {
			return nil, errs.New(op, errs.Internal, "make a CA for the guests of VCH %s: %w", vch, err)
		}
		secret, err = client.Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			secret, err = client.Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		}
	}
	if err != nil {
		return nil, errs.New(op, kindOf(err), "keep the CA of the guests of VCH %s in Secret %s/%s: %w%s", vch, namespace, name, err, hint(err, namespace))
	}
	a, err := parse(secret)
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "Secret %s/%s: %w; delete it to have a new CA made, which pods that run now will not trust", namespace, name, err)
	}
	return a, nil
}

// secretName is the name of the Secret for a VCH, whose name may have characters that a Secret's may not.
func secretName(vch string) string {
	if name := secretPrefix + vch; len(validation.IsDNS1123Subdomain(name)) == 0 {
		return name
	}
	sum := sha256.Sum256([]byte(vch))
	return secretPrefix + hex.EncodeToString(sum[:10])
}

func newSecret(name, vch string) (*corev1.Secret, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate("wolfpack guests of "+vch, time.Now())
	if err != nil {
		return nil, err
	}
	template.NotAfter = forever
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	keyPEM, err := keyutil.MarshalPrivateKeyToPEM(key)
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	certPEM, err := cert.EncodeCertificates(parsed)
	if err != nil {
		return nil, err
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{vchLabel: vch}},
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{keyCert: certPEM, keyKey: keyPEM},
	}, nil
}

func parse(secret *corev1.Secret) (*Authority, error) {
	certs, err := cert.ParseCertsPEM(secret.Data[keyCert])
	if err != nil {
		return nil, fmt.Errorf("%s is no PEM of a certificate: %w", keyCert, err)
	}
	parsed, err := keyutil.ParsePrivateKeyPEM(secret.Data[keyKey])
	if err != nil {
		return nil, fmt.Errorf("%s is no PEM of a private key", keyKey) // whose parser might say what it read
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certs[0].PublicKey) {
		return nil, fmt.Errorf("%s is not the ECDSA key of %s", keyKey, keyCert)
	}
	return &Authority{pem: secret.Data[keyCert], cert: certs[0], key: key, now: time.Now}, nil
}

// ClientCertificate is what the provider shows a guest: it is made in memory, lives for a day, and is renewed at half of
// that.
func (a *Authority) ClientCertificate() (*tls.Certificate, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	if a.client != nil && now.Before(a.client.Leaf.NotAfter.Add(-clientLifetime/2)) {
		return a.client, nil
	}
	issued, err := a.issue(now)
	if err != nil {
		return nil, errs.New("guests.ClientCertificate", errs.Internal, "make the provider's client certificate: %w", err)
	}
	a.client = issued
	return issued, nil
}

func (a *Authority) issue(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template, err := newTemplate(clientName, now)
	if err != nil {
		return nil, err
	}
	template.NotAfter = now.Add(clientLifetime)
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}

func newTemplate(name string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-clockSkew)}, nil
}

// kindOf sorts the API server's errors.
func kindOf(err error) errs.Kind {
	switch {
	case apierrors.IsNotFound(err):
		return errs.NotFound
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return errs.Denied
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return errs.Invalid
	default:
		return errs.Unavailable
	}
}

// hint says what would help.
func hint(err error, namespace string) string {
	switch {
	case apierrors.IsNotFound(err):
		return "; create namespace " + namespace + ", or name another with --system-namespace"
	case apierrors.IsForbidden(err):
		return "; the node needs to get and create Secrets in namespace " + namespace
	default:
		return ""
	}
}
