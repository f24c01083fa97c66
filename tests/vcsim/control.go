// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
)

// ControlPath is where the control endpoint is, on the server's own address: GET, POST and DELETE faults, and GET and
// DELETE journal, as README.md beside this file says. No fault ever strikes it.
const ControlPath = "/stand-in/"

// maxFaults bounds the text of rules that a client sends.
const maxFaults = 1 << 20

// control is the answer to a request at the control endpoint.
type control func(*http.Request) (status int, body any, err error)

// routeControl serves the control endpoint to whoever has the user and password of the vSphere API.
func (s *Server) routeControl(mux *http.ServeMux, username, password string) {
	for pattern, answer := range map[string]control{
		"GET " + ControlPath + "faults":              s.listFaults,
		"POST " + ControlPath + "faults":             s.postFaults,
		"DELETE " + ControlPath + "faults":           s.deleteFaults,
		"DELETE " + ControlPath + "faults/{name...}": s.deleteFault,
		"GET " + ControlPath + "journal":             s.getJournal,
		"DELETE " + ControlPath + "journal":          s.deleteJournal,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if !s.checked || authorized(r, username, password) {
				respond(w, r, answer)
				return
			}
			w.Header().Set("WWW-Authenticate", `Basic realm="vCenter stand-in"`)
			http.Error(w, "want the user and password of the vSphere API", http.StatusUnauthorized)
		})
	}
}

func authorized(r *http.Request, username, password string) bool {
	user, secret, _ := r.BasicAuth()
	return subtle.ConstantTimeCompare([]byte(user), []byte(username))&subtle.ConstantTimeCompare([]byte(secret), []byte(password)) == 1
}

// respond answers in JSON. An error is the request's.
func respond(w http.ResponseWriter, r *http.Request, answer control) {
	status, body, err := answer(r)
	if err != nil {
		body = map[string]string{"error": err.Error()}
	}
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone
}

func (s *Server) listFaults(*http.Request) (int, any, error) { return http.StatusOK, s.Faults(), nil }

// postFaults adds rules: all, or none if one is wrong.
func (s *Server) postFaults(r *http.Request) (int, any, error) {
	text, err := io.ReadAll(io.LimitReader(r.Body, maxFaults))
	if err != nil {
		return http.StatusBadRequest, nil, err
	}
	add, err := ParseFaults(text)
	if err != nil {
		return http.StatusBadRequest, nil, err
	}
	rules, err := s.addFaults(add...)
	if err != nil {
		return http.StatusBadRequest, nil, err
	}
	added := make([]FaultStatus, 0, len(rules))
	for _, rule := range rules {
		added = append(added, FaultStatus{Fault: rule.Fault})
	}
	return http.StatusCreated, added, nil
}

func (s *Server) deleteFaults(*http.Request) (int, any, error) {
	s.RemoveFaults()
	return http.StatusNoContent, nil, nil
}

func (s *Server) deleteFault(r *http.Request) (int, any, error) {
	if name := r.PathValue("name"); !s.RemoveFault(name) {
		return http.StatusNotFound, nil, fmt.Errorf("there is no fault %q; GET %sfaults lists those that there are", name, ControlPath)
	}
	return http.StatusNoContent, nil, nil
}

// Journaled is what the control endpoint says of the journal.
type Journaled struct {
	Requests []Request      `json:"requests"`
	Counts   map[string]int `json:"counts"`  // of all requests, by method
	Dropped  int            `json:"dropped"` // requests that the journal could not hold
}

// getJournal returns the requests that match the patterns in the query, if it has any, and whose number is above since.
func (s *Server) getJournal(r *http.Request) (int, any, error) {
	query := r.URL.Query()
	var since uint64
	for key := range query {
		value := query.Get(key)
		var err error
		switch key {
		case "since":
			since, err = strconv.ParseUint(value, 10, 64)
		case "method", "object", "session", "agent":
			_, err = path.Match(value, "")
		default:
			return http.StatusBadRequest, nil, fmt.Errorf("unknown query %s=%s; want since, method, object, session or agent", key, value)
		}
		if err != nil {
			return http.StatusBadRequest, nil, fmt.Errorf("query %s=%s: %w; want a pattern such as PowerOn*, or the number of a request for since", key, value, err)
		}
	}
	selects := func(key string, texts ...string) bool { return !query.Has(key) || matchAny(query.Get(key), texts...) }
	selected := []Request{}
	for _, entry := range s.Journal() {
		if entry.Number > since && selects("method", entry.Method) && selects("session", entry.Session) &&
			selects("agent", entry.Agent) && selects("object", entry.Object, entry.Name, entry.Makes) {
			selected = append(selected, entry)
		}
	}
	return http.StatusOK, Journaled{Requests: selected, Counts: s.Calls(), Dropped: s.Dropped()}, nil
}

func (s *Server) deleteJournal(*http.Request) (int, any, error) {
	s.ResetJournal()
	return http.StatusNoContent, nil, nil
}
