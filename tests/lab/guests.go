// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"wolfpack/tests/images"
	"wolfpack/tests/process"
)

const (
	// RegistryName is what the lab's registry is called in the images of pods. Real guests reach it through the address that
	// the lab's machine has for them, which the node tells them is the registry's mirror.
	RegistryName = "registry.lab"
	// hostForGuests is the lab's machine, to real guests of the stand-in.
	hostForGuests = "host.wolfpack.internal"
	// pullSecret is the Secret with the registry's password.
	pullSecret = "registry-lab"
)

// real says whether the stand-in's guests are real ones.
func (o Options) real() bool { return o.VCenter == VCenterSim && o.Guests == GuestsQEMU }

// pushImages puts the lab's images into its registry.
func (l *Lab) pushImages(ctx context.Context) error {
	r := l.info.Registry
	pem, err := os.ReadFile(r.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	transport := remote.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	transport.TLSClientConfig.RootCAs = roots
	programs := images.Programs{Busybox: l.opts.Binaries.Busybox, Hello: l.opts.Binaries.Hello}
	return images.Push(ctx, programs, r.Address, "", remote.WithTransport(transport),
		remote.WithAuth(&authn.Basic{Username: r.Username, Password: r.Password}))
}

// allowPulls lets pods of the namespace default pull from the lab's registry.
func (l *Lab) allowPulls(ctx context.Context) error {
	client, done, err := l.client()
	if err != nil {
		return err
	}
	defer done()
	config, err := l.info.Registry.dockerConfig()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: pullSecret}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: config},
	}
	if _, err := client.CoreV1().Secrets(metav1.NamespaceDefault).Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return err
	}
	patch := []byte(`{"imagePullSecrets":[{"name":"` + pullSecret + `"}]}`)
	return process.Until(ctx, &l.group, "the default service account can be given the registry's password", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Patch(ctx, "default", types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	})
}

// dockerConfig is what a Secret for pulls from the registry holds.
func (r Registry) dockerConfig() ([]byte, error) {
	auth := base64.StdEncoding.EncodeToString([]byte(r.Username + ":" + r.Password))
	return json.Marshal(map[string]any{"auths": map[string]any{RegistryName: map[string]string{"auth": auth}}})
}

// guestArgs are what wolfpack node must be told to reach real guests, and for them to reach the registry.
func (l *Lab) guestArgs() ([]string, error) {
	args := []string{"--guest-proxy", l.info.GuestProxy}
	if l.info.Registry == nil {
		return args, nil
	}
	_, port, err := net.SplitHostPort(l.info.Registry.Address)
	if err != nil {
		return nil, err
	}
	return append(args,
		"--registry-mirror", RegistryName+"=https://"+net.JoinHostPort(hostForGuests, port),
		"--registry-ca", RegistryName+"="+l.info.Registry.CA), nil
}

// parseProxy takes the address of the way into the guests' network from the line in which vcsim says it:
// export WOLFPACK_GUEST_PROXY=socks5://host:port
func parseProxy(line string) (proxy string, ok bool) {
	if rest, ok := strings.CutPrefix(line, "export WOLFPACK_GUEST_PROXY="); ok {
		return strings.TrimSpace(rest), true
	}
	return "", false
}

// showReal writes what shows that the first pod of the examples is real: the kernel that it says it runs on, what it
// answers to HTTP, and what its container has written of that.
func (l *Lab) showReal(ctx context.Context, w io.Writer) error {
	kubectl := l.opts.Binaries.kubectl()
	first, err := l.output(ctx, kubectl, "get", "pods", "-o", "jsonpath={.items[0].metadata.name} {.items[0].status.podIP}")
	if err != nil {
		return err
	}
	name, ip, _ := strings.Cut(first, " ")
	kernel, err := l.output(ctx, kubectl, "exec", name, "--", "cat", "/proc/version")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ kubectl exec %s -- cat /proc/version\n%s", name, kernel)
	address := "http://" + net.JoinHostPort(ip, "8080")
	answer, err := l.ask(ctx, address)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ curl --proxy %s %s\n%s", l.info.GuestProxy, address, answer)
	log, err := l.output(ctx, kubectl, "logs", name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n$ kubectl logs %s\n%s", name, log)
	return nil
}

// ask sends an HTTP request into the guests' network.
func (l *Lab) ask(ctx context.Context, address string) (string, error) {
	proxy, err := url.Parse(l.info.GuestProxy)
	if err != nil {
		return "", err
	}
	transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return "", err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return "", fmt.Errorf("GET %s: %w", address, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s: %s", address, response.Status, answer)
	}
	return string(answer), err
}

// checkReal fails if what real guests need is missing.
func (b Binaries) checkReal() error {
	if b.Busybox == "" {
		return errors.New("busybox is missing, which the lab's images are made of: install the package busybox-static")
	}
	for _, p := range []struct{ path, make string }{{b.GuestImage, "podvm"}, {b.Hello, "build"}} {
		if err := present(p.path, p.make); err != nil {
			return err
		}
	}
	return nil
}
