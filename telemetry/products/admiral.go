// SPDX-License-Identifier: Apache-2.0

package products

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"wolfpack/telemetry"
)

// Admiral is made with Xenon, where everything is a document of its own, the build number too.
const (
	buildNumber = "__build.number"
	buildPath   = "/config/props/" + buildNumber
	authPath    = "/core/authn/basic"
	tokenHeader = "x-xenon-auth-token"
)

// property is Admiral's document of a setting.
type property struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// refusal is Xenon's document of an error.
type refusal struct {
	Kind string `json:"documentKind"`
}

func readBuild(a answer) (version string, ok bool) {
	var document property
	ok = a.decode(http.StatusOK, &document) && document.Key == buildNumber
	return told(document.Value), ok
}

// admiral asks an Admiral. One with users refuses whoever has not logged in.
func (c *conversation) admiral(ctx context.Context) ([]telemetry.Product, error) {
	reply, err := c.get(ctx, buildPath)
	if err != nil {
		return nil, err
	}
	if build, ok := readBuild(reply); ok {
		return []telemetry.Product{c.build(build)}, nil
	}
	var refused refusal
	if reply.status != http.StatusUnauthorized && reply.status != http.StatusForbidden ||
		!reply.decode(reply.status, &refused) || !strings.HasPrefix(refused.Kind, "com:vmware:xenon:") {
		return nil, nil
	}
	version, problem := c.buildForUser(ctx)
	if problem != "" {
		return []telemetry.Product{c.product(Admiral, "", problem)}, nil
	}
	return []telemetry.Product{c.build(version)}, nil
}

func (c *conversation) build(version string) telemetry.Product {
	if version == "" {
		return c.product(Admiral, "", "it has no build number")
	}
	return c.product(Admiral, version, "")
}

// buildForUser logs in, asks for the build number and logs out.
func (c *conversation) buildForUser(ctx context.Context) (version, problem string) {
	login := c.target.admiral
	switch {
	case login == Login{}:
		return "", "it tells its version to users alone: set ADMIRAL_USERNAME and ADMIRAL_PASSWORD, or give --probe-credentials"
	case !c.secure():
		return "", "it tells its version to users alone, and no password is sent without TLS: give its https URL"
	}
	reply, err := c.authenticate(ctx, "LOGIN", func(r *http.Request) { r.SetBasicAuth(login.Username, login.Password) })
	if err != nil {
		return "", "log in: " + err.Error()
	}
	token := reply.header.Get(tokenHeader)
	if reply.status != http.StatusOK || token == "" {
		return "", fmt.Sprintf("it refuses user %q (HTTP %d): check ADMIRAL_USERNAME and ADMIRAL_PASSWORD, or --probe-credentials", login.Username, reply.status)
	}
	bearer := func(r *http.Request) { r.Header.Set(tokenHeader, token) }
	defer func() {
		_, _ = c.authenticate(context.WithoutCancel(ctx), "LOGOUT", bearer) // a session that stays is Admiral's to expire
	}()
	if reply, err = c.get(ctx, buildPath, bearer); err != nil {
		return "", "ask for the build number: " + err.Error()
	}
	version, ok := readBuild(reply)
	if !ok {
		return "", fmt.Sprintf("user %q may not read its build number (HTTP %d)", login.Username, reply.status)
	}
	return version, ""
}

func (c *conversation) authenticate(ctx context.Context, what string, as func(*http.Request)) (answer, error) {
	return c.send(ctx, http.MethodPost, authPath, strings.NewReader(`{"requestType":"`+what+`"}`), as,
		func(r *http.Request) { r.Header.Set("Content-Type", "application/json") })
}
