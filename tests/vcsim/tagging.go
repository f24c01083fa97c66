// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// cisPath is where vCenter's sessions and tags are, which have a REST interface. The simulator serves it; the stand-in enters
// its requests in the journal, lets faults strike them, and answers as vCenter does where the simulator does not.
const cisPath = "/rest/com/vmware/cis/"

// categoryPath is that of the categories of tags.
const categoryPath = cisPath + "tagging/category/id:"

// cisPrefix is that of the names of these requests as methods.
const cisPrefix = "cis."

// routeTagging puts the stand-in in front of the simulator's tags. An ESXi host has none.
func (s *Server) routeTagging(mux *http.ServeMux) {
	if next, pattern := mux.Handler(httptest.NewRequest(http.MethodGet, cisPath, nil)); strings.HasPrefix(pattern, "/rest/") {
		mux.Handle(cisPath, s.observeTagging(next))
	}
}

func (s *Server) observeTagging(next http.Handler) http.HandlerFunc {
	return s.exchanged(newTagging, func(w http.ResponseWriter, r *http.Request) {
		x := r.Context().Value(exchangeKey{}).(*exchange)
		if x.effect().Do == DoExpire {
			record(next, goodbye(r))
			x.answer.giveError(new(types.NotAuthenticated))
			return
		}
		s.answerTagging(w, r, x.call.Method, next)
	})
}

func newTagging(r *http.Request, _ []byte) *exchange {
	x := &exchange{call: new(call), rest: true, answer: &answer{status: http.StatusOK, body: []byte{}}}
	x.call.Method, x.call.Agent = operation(r), r.UserAgent()
	if key := cisSession(r); key != "" {
		x.call.Session = sessionID(key)
	}
	return x
}

// cisSession is the key of the session that a request is made in, or "". It comes as a header or as a cookie.
func cisSession(r *http.Request) string {
	const name = "vmware-api-session-id"
	if cookie, err := r.Cookie(name); err == nil {
		return cookie.Value
	}
	return r.Header.Get(name)
}

// goodbye is a request to end the session that r is made in.
func goodbye(r *http.Request) *http.Request {
	end := httptest.NewRequest(http.MethodDelete, cisPath+"session", nil)
	end.Header = r.Header
	return end
}

// answerTagging answers a request as vCenter does: a category that is not there has no list of tags, and no tag is on a thing
// that is gone.
func (s *Server) answerTagging(w http.ResponseWriter, r *http.Request, method string, next http.Handler) {
	switch method {
	case "cis.tagging.tag.list-tags-for-category":
		_, id, _ := strings.Cut(r.URL.Path, "/id:")
		ask := httptest.NewRequest(http.MethodGet, categoryPath+id, nil)
		ask.Header = r.Header
		if found := record(next, ask); found.Code == http.StatusNotFound {
			http.NotFound(w, r)
			return
		}
	case "cis.tagging.tag-association.list-attached-objects-on-tags":
		s.dropGone(w, record(next, r))
		return
	}
	next.ServeHTTP(w, r)
}

func record(next http.Handler, r *http.Request) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	next.ServeHTTP(answer, r)
	return answer
}

// attached is an answer that says what tags are on.
type attached struct {
	Value []struct {
		Tag     string `json:"tag_id"`
		Objects []struct {
			Type string `json:"type"`
			ID   string `json:"id"`
		} `json:"object_ids"`
	} `json:"value"`
}

// dropGone passes an answer on without the things that are gone.
func (s *Server) dropGone(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	var list attached
	body := answer.Body.Bytes()
	if answer.Code == http.StatusOK && json.Unmarshal(body, &list) == nil {
		for i := range list.Value {
			kept := list.Value[i].Objects[:0]
			for _, object := range list.Value[i].Objects {
				if s.model.Map().Get(types.ManagedObjectReference{Type: object.Type, Value: object.ID}) != nil {
					kept = append(kept, object)
				}
			}
			list.Value[i].Objects = kept
		}
		body, _ = json.Marshal(list) // of strings
	}
	w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
	w.WriteHeader(answer.Code)
	_, _ = w.Write(body)
}

// giveError makes the answer an error of the REST interface, the one that is nearest to fault.
func (a *answer) giveError(fault types.BaseMethodFault) {
	status, kind := http.StatusInternalServerError, "internal_server_error"
	switch fault.(type) {
	case *types.NoPermission:
		status, kind = http.StatusForbidden, "unauthorized"
	case *types.NotAuthenticated:
		status, kind = http.StatusUnauthorized, "unauthenticated"
	case *types.DuplicateName, *types.AlreadyExists:
		status, kind = http.StatusBadRequest, "already_exists"
	case *types.NotFound, *types.ManagedObjectNotFound:
		status, kind = http.StatusNotFound, "not_found"
	}
	a.Header().Set("Content-Type", "application/json")
	a.give(status, []byte(`{"type":"com.vmware.vapi.std.errors.`+kind+`","value":{"messages":[]}}`))
}

// operation names a request as the interface's reference does, without the ids in it: cis.tagging.tag.create.
func operation(r *http.Request) string {
	path, _, one := strings.Cut(strings.TrimPrefix(r.URL.Path, cisPath), "/id:")
	does := r.URL.Query().Get("~action")
	if does == "" {
		does = map[string]string{http.MethodPost: "create", http.MethodPatch: "update", http.MethodDelete: "delete", http.MethodGet: "list"}[r.Method]
		if one && r.Method == http.MethodGet {
			does = "get"
		}
	}
	return cisPrefix + strings.ReplaceAll(path, "/", ".") + "." + does
}
