// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"regexp"
	"time"

	"golang.org/x/crypto/bcrypt"
	"sigs.k8s.io/yaml"

	"wolfpack/tests/process"
)

// startRegistry starts a registry that wants TLS and a password, on a port that it chooses itself.
func (l *Lab) startRegistry(ctx context.Context) error {
	r := Registry{CA: l.path("ca.crt"), Username: "lab", Password: rand.Text()}
	config, err := l.writeRegistryConfig(r)
	if err != nil {
		return err
	}
	said := newLineWatch(parseRegistry)
	p, err := process.Start(process.Spec{
		Name: "registry", Path: l.opts.Binaries.registry(), Args: []string{"serve", config}, Log: l.log("registry"), Output: said,
		// Nothing else: REGISTRY_ variables are settings too. Without the second it sends its traces to port 4318.
		Env: []string{"HOME=" + l.opts.Dir, "OTEL_TRACES_EXPORTER=none"},
	})
	if err != nil {
		return err
	}
	l.adopt(p)
	if r.Address, err = said.wait(ctx, p, time.Minute); err != nil {
		return fmt.Errorf("wait for its address: %w", err)
	}
	l.info.Registry = &r
	return nil
}

// writeRegistryConfig writes the registry's files and returns the path of its configuration.
func (l *Lab) writeRegistryConfig(r Registry) (string, error) {
	dir := l.path("registry")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	crt, key, htpasswd := l.path("registry", "tls.crt"), l.path("registry", "tls.key"), l.path("registry", "htpasswd")
	pair, err := l.ca.Server(localhost, "localhost", "::1")
	if err != nil {
		return "", err
	}
	if err := pair.WriteFiles(crt, key); err != nil {
		return "", err
	}
	// A random password of 26 characters needs no slow hash.
	hash, err := bcrypt.GenerateFromPassword([]byte(r.Password), bcrypt.MinCost)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(htpasswd, []byte(r.Username+":"+string(hash)+"\n"), 0o600); err != nil {
		return "", err
	}
	type object = map[string]any
	config, err := yaml.Marshal(object{
		"version": "0.1",
		"log":     object{"level": "info", "formatter": "text"},
		"storage": object{"filesystem": object{"rootdirectory": l.path("registry", "data")}, "delete": object{"enabled": true}},
		"auth":    object{"htpasswd": object{"realm": "wolfpack lab", "path": htpasswd}},
		"http": object{
			"addr": localhost + ":0", "secret": rand.Text(),
			"tls": object{"certificate": crt, "key": key},
		},
	})
	if err != nil {
		return "", err
	}
	path := l.path("registry", "config.yml")
	return path, os.WriteFile(path, config, 0o600)
}

// listening is in the log line that says where the registry listens.
var listening = regexp.MustCompile(`msg="listening on ([^" ]+:\d+), tls"`)

// parseRegistry takes the address from that line.
func parseRegistry(line string) (address string, ok bool) {
	if m := listening.FindStringSubmatch(line); m != nil {
		return m[1], true
	}
	return "", false
}
