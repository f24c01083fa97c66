// SPDX-License-Identifier: Apache-2.0

package guests

import (
	"bytes"
	"context"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"wolfpack/errs"
	"wolfpack/guest/contract"
)

const (
	pushTimeout = 30 * time.Second
	// reportAt is the failure in a row that the pod's user is told of; a guest that has just booted may well fail once.
	reportAt = 3
)

// reasonNotSent is the reason of the Event of a guest that cannot be sent what its pod refers to.
const reasonNotSent = "FailedSendReferences"

// next sends the next guest what it needs. It returns false when there is nothing more to come.
func (g *Guests) next(ctx context.Context) bool {
	uid, shutdown := g.queue.Get()
	if shutdown {
		return false
	}
	defer g.queue.Done(uid) // until then nobody else sends to that guest
	p, err := g.push(uid)
	switch {
	case p == nil || p.ctx.Err() != nil:
		g.queue.Forget(uid)
	case err != nil:
		if g.queue.NumRequeues(uid) == reportAt-1 {
			klog.FromContext(ctx).Error(err, "Guest is not sent what its pod refers to", "pod", klog.KObj(p.pod), "uid", uid, "op", errs.Op(err))
			g.config.Events.Event(p.pod, corev1.EventTypeWarning, reasonNotSent, "The guest is not sent what the pod refers to: "+err.Error())
		}
		g.queue.AddRateLimited(uid)
	default:
		g.queue.Forget(uid)
	}
	return true
}

// parcel is what is to be sent to a guest.
type parcel struct {
	route  *route
	text   []byte
	digest string
	known  bool // that the guest has another one, or none
}

// push sends the guest of a pod what the pod refers to, if it listens and has not got that. It returns the pod as it was.
func (g *Guests) push(uid types.UID) (*pod, error) {
	parcel, p, err := g.pack(uid)
	if err != nil || parcel == nil {
		return p, err
	}
	ctx, cancel := context.WithTimeout(p.ctx, pushTimeout)
	defer cancel()
	defer parcel.route.transport.CloseIdleConnections() // each guest is sent something once, or rarely
	has := false
	if !parcel.known {
		has, err = parcel.has(ctx)
	}
	if err == nil && !has {
		err = parcel.send(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.pods[uid]
	if now == nil {
		return p, err
	}
	now.sentTo, now.fresh = address{}, false // after a failure nobody knows whether it got there
	if at, gone := addressOf(now.vm); err == nil && gone == nil && at == parcel.route.address {
		now.sentTo, now.sent = at, parcel.digest
	}
	return p, err
}

// pack returns what the guest must be sent, or nil if there is nothing, or not yet. It holds no lock while it encodes.
func (g *Guests) pack(uid types.UID) (*parcel, *pod, error) {
	g.mu.Lock()
	p := g.pods[uid]
	if p == nil {
		g.mu.Unlock()
		return nil, nil, nil
	}
	now := *p
	bundle, ok := g.bundle(p)
	g.mu.Unlock()
	at, err := addressOf(now.vm)
	if err != nil || !ok {
		return nil, &now, nil //nolint:nilerr // Follow will tell when it listens
	}
	text, digest, err := contract.EncodeBundle(bundle)
	if err != nil {
		return nil, &now, errs.New("guests.Push", errs.Invalid, "%w", err)
	}
	known := now.sentTo == at
	if known && now.sent == digest {
		return nil, &now, nil
	}
	return &parcel{route: g.newRoute(now.vm, at), text: text, digest: digest, known: known || now.fresh}, &now, nil
}

// bundle is what there is of what the pod refers to. It is not ok before that is known.
func (g *Guests) bundle(p *pod) (contract.Bundle, bool) {
	bundle := contract.Bundle{UID: p.pod.UID, HostIPs: g.config.HostIPs}
	source, _, known := g.source(p)
	services, synced := g.services.of(p.pod)
	for _, object := range source.ConfigMaps {
		bundle.ConfigMaps = append(bundle.ConfigMaps, *object)
	}
	for _, object := range source.Secrets {
		bundle.Secrets = append(bundle.Secrets, *object)
	}
	for _, service := range services {
		bundle.Services = append(bundle.Services, *service)
	}
	return bundle, known && synced
}

// has asks the guest whether it has the bundle: after a restart of the provider most have.
func (p *parcel) has(ctx context.Context) (bool, error) {
	response, err := p.do(ctx, http.MethodHead, nil)
	if err != nil {
		return false, err
	}
	return response.Header.Get("ETag") == `"`+p.digest+`"`, nil
}

func (p *parcel) send(ctx context.Context) error {
	response, err := p.do(ctx, http.MethodPut, p.text)
	if err == nil && response.StatusCode/100 != 2 {
		// What it answers beside that is not repeated: it has read secrets.
		err = errs.New("guests.Push", errs.Unavailable, "the guest answers %s", response.Status)
	}
	return err
}

func (p *parcel) do(ctx context.Context, method string, content []byte) (*http.Response, error) {
	const op = "guests.Push"
	request, err := http.NewRequestWithContext(ctx, method, p.route.url().String()+contract.BundlePath, bytes.NewReader(content))
	if err != nil {
		return nil, errs.New(op, errs.Internal, "%w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.route.transport.RoundTrip(request)
	if err != nil {
		return nil, errs.New(op, errs.Unavailable, "%w", err)
	}
	_ = response.Body.Close() // which is not read
	return response, nil
}
