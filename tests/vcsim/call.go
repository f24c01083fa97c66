// SPDX-License-Identifier: Apache-2.0

package vcsim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// call is what can be said of a request before it is carried out.
type call struct {
	Request
	ref types.ManagedObjectReference // of the object called
}

// involved is what a request concerns, as a pattern for objects may match it.
type involved struct {
	objects    []string // names and references of the object called and of those handed over
	datastores []string // those of the datastores on which the request needs space
}

// makers are the methods that make an object whose name is the first after the object called.
var makers = []string{
	"CreateVM_Task", "CloneVM_Task", "InstantClone_Task", "CreateFolder", "CreateResourcePool", "CreateDatacenter",
}

// newCall reads as much of a request as that takes. A request that cannot be read has no method.
func newCall(r *http.Request, body []byte) *call {
	c := new(call)
	c.Agent = r.UserAgent()
	if cookie, err := r.Cookie(soap.SessionCookieName); err == nil {
		c.Session = sessionID(cookie.Value)
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	if !seek(d, "Body") {
		return c
	}
	method, ok := nextElement(d)
	if !ok {
		return c
	}
	this, ok := nextElement(d)
	if !ok || this.Name.Local != "_this" {
		return c
	}
	c.Method = method.Name.Local
	for _, a := range this.Attr {
		if a.Name.Local == "type" && a.Name.Space != "xsi" {
			c.ref.Type = a.Value
		}
	}
	c.ref.Value = text(d)
	c.Object = c.ref.String()
	if slices.Contains(makers, c.Method) && seek(d, "name") {
		c.Makes = text(d)
	}
	return c
}

// sessionID returns what stands for a session in the journal. Its key would let anyone in.
func sessionID(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:6])
}

// seek reads up to the next element of a name.
func seek(d *xml.Decoder, name string) bool {
	for {
		element, ok := nextElement(d)
		if !ok || element.Name.Local == name {
			return ok
		}
	}
}

func nextElement(d *xml.Decoder) (xml.StartElement, bool) {
	for {
		token, err := d.RawToken()
		if err != nil {
			return xml.StartElement{}, false
		}
		if element, ok := token.(xml.StartElement); ok {
			return element, true
		}
	}
}

// text returns what comes next if that is text.
func text(d *xml.Decoder) string {
	token, _ := d.RawToken() // nil on an error
	data, _ := token.(xml.CharData)
	return strings.TrimSpace(string(data))
}

// reference finds what may be a reference to an object in a request.
var reference = regexp.MustCompile(`type="([A-Z]\w+)"[^>]*>([^<]+)<`)

// datastorePath finds the datastore's name in the path of a VM's files.
var datastorePath = regexp.MustCompile(`<vmPathName[^>]*>\[([^\]<]+)\]`)

// spaceNeeded are the methods that need space on a datastore.
var spaceNeeded = []string{"CreateVM_Task", "CloneVM_Task", "InstantClone_Task", "RelocateVM_Task", "PowerOnVM_Task"}

// involved looks up what a request concerns. It takes locks of objects.
func (s *Server) involved(c *call, body []byte) involved {
	var with involved
	add := func(ref types.ManagedObjectReference) {
		words := s.named(ref).words()
		with.objects = append(with.objects, words...)
		if ref.Type == "Datastore" {
			with.datastores = append(with.datastores, words...)
		}
	}
	add(c.ref)
	for _, found := range reference.FindAllSubmatch(body, -1) {
		add(types.ManagedObjectReference{Type: string(found[1]), Value: string(found[2])})
	}
	if !slices.Contains(spaceNeeded, c.Method) {
		with.datastores = nil
		return with
	}
	for _, found := range datastorePath.FindAllSubmatch(body, -1) {
		with.datastores = append(with.datastores, string(found[1]))
	}
	if len(with.datastores) == 0 {
		for _, ref := range s.datastoresOf(c.ref) {
			with.datastores = append(with.datastores, s.named(ref).words()...)
		}
	}
	return with
}

// named looks up the name of an object.
func (s *Server) named(ref types.ManagedObjectReference) named {
	return s.namedFor(newContext(s.model.Service.Context), ref)
}

// namedFor is named for who may hold the object's lock already.
func (s *Server) namedFor(ctx *simulator.Context, ref types.ManagedObjectReference) named {
	n := named{ref: ref}
	if entity, ok := s.model.Map().Get(ref).(mo.Entity); ok {
		ctx.WithLock(entity, func() { n.name = entity.Entity().Name })
	}
	return n
}

// datastoresOf returns where a VM's files are.
func (s *Server) datastoresOf(ref types.ManagedObjectReference) (stores []types.ManagedObjectReference) {
	if vm, ok := s.model.Map().Get(ref).(*simulator.VirtualMachine); ok {
		ctx := newContext(s.model.Service.Context)
		ctx.WithLock(vm, func() { stores = slices.Clone(vm.Datastore) })
	}
	return stores
}
