// SPDX-License-Identifier: Apache-2.0

package products

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"wolfpack/telemetry"
)

// systemInfo is the part of Harbor's system information that matters here, of all versions.
type systemInfo struct {
	AuthMode        string `json:"auth_mode"`      // which every Harbor tells anybody
	Version         string `json:"harbor_version"` // since 2.13 to users alone
	WithAdmiral     bool   `json:"with_admiral"`   // until 1.10
	AdmiralEndpoint string `json:"admiral_endpoint"`
}

// readSystemInfo says whether an answer is Harbor's, and what it says. A server that answers everything with a page for
// browsers is none.
func readSystemInfo(a answer) (info systemInfo, ok bool) {
	ok = a.decode(http.StatusOK, &info) && (info.AuthMode != "" || info.Version != "")
	info.Version = told(info.Version)
	return info, ok
}

// harbor2 asks a Harbor 2. Whom it withholds its version from, logs in.
func (c *conversation) harbor2(ctx context.Context) ([]telemetry.Product, error) {
	const path = "/api/v2.0/systeminfo"
	reply, err := c.get(ctx, path)
	if err != nil {
		return nil, err
	}
	info, ok := readSystemInfo(reply)
	if !ok {
		return nil, nil
	}
	if info.Version != "" {
		return []telemetry.Product{c.product(Harbor, info.Version, "")}, nil
	}
	login := c.target.harbor
	switch {
	case login == Login{}:
		return []telemetry.Product{c.product(Harbor, "", "since 2.13 Harbor tells its version to users alone: set HARBOR_USERNAME and HARBOR_PASSWORD, "+
			"or give --probe-credentials; any user or robot account will do")}, nil
	case !c.secure():
		return []telemetry.Product{c.product(Harbor, "", "it tells its version to users alone, and no password is sent without TLS: give its https URL")}, nil
	}
	reply, err = c.get(ctx, path, func(r *http.Request) { r.SetBasicAuth(login.Username, login.Password) })
	if err != nil {
		return []telemetry.Product{c.product(Harbor, "", "log in: "+err.Error())}, nil
	}
	if info, _ = readSystemInfo(reply); info.Version != "" {
		return []telemetry.Product{c.product(Harbor, info.Version, "")}, nil
	}
	// Harbor takes whoever it does not know for nobody, and answers nobody.
	return []telemetry.Product{c.product(Harbor, "", fmt.Sprintf("it does not tell user %q its version (HTTP %d): check HARBOR_USERNAME and HARBOR_PASSWORD, or --probe-credentials",
		login.Username, reply.status))}, nil
}

// harbor1 asks a Harbor 1, which also tells of the Admiral that it is managed by.
func (c *conversation) harbor1(ctx context.Context) ([]telemetry.Product, error) {
	reply, err := c.get(ctx, "/api/systeminfo")
	if err != nil {
		return nil, err
	}
	info, ok := readSystemInfo(reply)
	if !ok {
		return nil, nil
	}
	problem := ""
	if info.Version == "" {
		problem = "it does not tell its version"
	}
	found := []telemetry.Product{c.product(Harbor, info.Version, problem)}
	if endpoint := strings.TrimSpace(info.AdmiralEndpoint); info.WithAdmiral && endpoint != "" && endpoint != "NA" {
		admiral := telemetry.Product{Name: Admiral, Source: sourceAPI, Confidence: medium}
		if parsed, err := parse(endpoint); err == nil {
			admiral.URL = parsed.String()
		}
		admiral.Problem = fmt.Sprintf("Harbor %s tells of it: give %s with --probe to ask for its version", c.target.url.Host, cmp.Or(admiral.URL, "its URL"))
		found = append(found, admiral)
	}
	return found, nil
}

// health is what Harbor says of its parts.
type health struct {
	Status     string `json:"status"`
	Components []struct {
		Name   string `json:"name"`
		Status string `json:"status"`
	} `json:"components"`
}

// ailingHarbor finds a Harbor whose system information fails, as it does without its database. Its health, or else the mere
// sign of life, is told without it.
func (c *conversation) ailingHarbor(ctx context.Context) ([]telemetry.Product, error) {
	reply, err := c.get(ctx, "/api/v2.0/health")
	if err != nil {
		return nil, err
	}
	var state health
	if reply.decode(http.StatusOK, &state) && len(state.Components) > 0 {
		return []telemetry.Product{c.product(Harbor, "", "it cannot tell its version"+state.ailing())}, nil
	}
	reply, err = c.get(ctx, "/api/v2.0/ping")
	if err != nil || reply.status != http.StatusOK || strings.TrimSpace(string(reply.body)) != "Pong" {
		return nil, err
	}
	return []telemetry.Product{c.product(Harbor, "", "it answers, but cannot tell its version")}, nil
}

// ailing names the parts that are not well.
func (h health) ailing() string {
	var parts []string
	for _, part := range h.Components {
		if part.Status != "healthy" && told(part.Name) != "" {
			parts = append(parts, part.Name)
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "; not healthy: " + strings.Join(parts, ", ")
}
