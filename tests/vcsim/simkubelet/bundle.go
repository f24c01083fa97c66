// SPDX-License-Identifier: Apache-2.0

package simkubelet

import (
	"net/http"

	"wolfpack/guest/contract"
)

// headBundle says which bundle the guest has.
func headBundle(w http.ResponseWriter, r *http.Request, g Guest) {
	if refuse(w, r) {
		return
	}
	g.Memory.mu.Lock()
	digest := g.Memory.digest
	g.Memory.mu.Unlock()
	if digest == "" {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("ETag", `"`+digest+`"`)
}

// putBundle takes a bundle.
func putBundle(w http.ResponseWriter, r *http.Request, g Guest) {
	if refuse(w, r) {
		return
	}
	bundle, digest, err := contract.DecodeBundle(r.Body)
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusBadRequest)
	case g.Pod == nil || bundle.UID != g.Pod.UID:
		http.Error(w, "the bundle is another pod's", http.StatusConflict)
	default:
		g.Memory.mu.Lock()
		g.Memory.bundle, g.Memory.digest = bundle, digest
		g.Memory.pushes++
		g.Memory.mu.Unlock()
		w.Header().Set("ETag", `"`+digest+`"`)
		w.WriteHeader(http.StatusNoContent)
	}
}

// refuse refuses a client that has shown no certificate: a guest that was given no CA cannot know one.
func refuse(w http.ResponseWriter, r *http.Request) bool {
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return false
	}
	http.Error(w, "a bundle is taken from the provider only, who shows a certificate", http.StatusForbidden)
	return true
}
