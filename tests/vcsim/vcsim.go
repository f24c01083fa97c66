// SPDX-License-Identifier: Apache-2.0

// Package vcsim is the vCenter stand-in: govmomi's simulator, made to behave like a real vCenter where that matters here.
// On top of the simulator it shows real guest full names (names.go), verifies user, password and certificate, keeps a
// VM that is being made away from watchers until it is complete (creation.go), tells watchers of changes fast enough
// for many VMs (collector.go), reads thousands of them page by page in a time that grows with their number alone
// (pages.go), and runs guests: simulated ones that speak the guest contract (guests.go), or real ones in QEMU (machines.go). It keeps a journal of requests
// (journal.go), and makes them go wrong by rules (fault.go). It does so through the simulator's extension points:
// listeners on its registry, its hook before each call, and the HTTP handler around it.
//
// A process may run any number of servers at once, and all methods of a Server may be called by several goroutines. What
// the simulator keeps in package variables is shared by all of them: simulator.Trace, TraceFile, TaskDelay, StatusSDK and
// the templates in simulator/esx. The package never writes those; whoever does affects every server of the process.
package vcsim

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	// The endpoints beside the vSphere API that stock vcsim has: tags, storage policies, tokens and so on.
	_ "github.com/vmware/govmomi/cns/simulator"
	_ "github.com/vmware/govmomi/eam/simulator"
	_ "github.com/vmware/govmomi/lookup/simulator"
	_ "github.com/vmware/govmomi/pbm/simulator"
	_ "github.com/vmware/govmomi/ssoadmin/simulator"
	_ "github.com/vmware/govmomi/sts/simulator"
	_ "github.com/vmware/govmomi/vapi/appliance/simulator"
	_ "github.com/vmware/govmomi/vapi/cis/tasks/simulator"
	_ "github.com/vmware/govmomi/vapi/cluster/simulator"
	_ "github.com/vmware/govmomi/vapi/crypto/simulator"
	_ "github.com/vmware/govmomi/vapi/esx/settings/simulator"
	_ "github.com/vmware/govmomi/vapi/namespace/simulator"
	_ "github.com/vmware/govmomi/vapi/simulator"
	_ "github.com/vmware/govmomi/vapi/vcenter/consumptiondomains/simulator"
	_ "github.com/vmware/govmomi/vapi/vm/simulator"
	_ "github.com/vmware/govmomi/vsan/simulator"
	_ "github.com/vmware/govmomi/vslm/simulator"
)

// Config says what Start starts. The zero Config is the inventory of stock vcsim on a free loopback port, with TLS, any
// user and password, and no guests.
type Config struct {
	// Model is the inventory to begin with, and the delays. Nil: simulator.VPX(). It belongs to the server from Start on.
	// Flags: -dc, -cluster, -host, -vm and so on.
	Model *simulator.Model

	// Load is a folder written by `govc object.save`, to load the inventory from instead. Flag: -load.
	Load string

	// Listen is the TCP address to listen on. Default: 127.0.0.1 and a free port. Flag: -l.
	Listen string

	// Username and Password are the only ones to be let in. Without a Username anyone is. Flags: -username, -password.
	Username, Password string

	// Plain serves HTTP instead of HTTPS. Flag: -tls=false.
	Plain bool

	// CertFile and KeyFile are the server's certificate and key, PEM. Default: a certificate for the listen address, signed
	// by a CA of the server's own; see Server.CAFile. Flags: -tlscert, -tlskey.
	CertFile, KeyFile string

	// Guests says what runs in VMs that are powered on: GuestsNone (default), GuestsSim or GuestsQEMU. Flag: -guests.
	Guests string

	// RestartBackOff is how long a simulated guest waits before it restarts its containers a second time; it doubles with
	// each further restart, up to five minutes. Default: 10s, as the kubelet does.
	RestartBackOff time.Duration

	// Faults are rules by which requests go wrong from the start. More can be injected at any time. Flag: -faults.
	Faults []Fault

	// Mux gets the server's handlers, so that it can have others too. Nil: a new one.
	Mux *http.ServeMux
}

// The values of Config.Guests.
const (
	GuestsNone = "none" // VMs are empty, as in stock vcsim
	GuestsSim  = "sim"  // pod VMs and endpoint VMs have simulated guests
	GuestsQEMU = "qemu" // VMs are machines that QEMU runs
)

// Server is a running stand-in.
type Server struct {
	model  *simulator.Model
	sim    *simulator.Server
	guests backend // nil without guests
	tls    certificates
	dir    string // holds the CA file; "" without

	checked  bool // user and password are
	journal  journal
	faults   faults
	fillings fillings
	stuck    atomic.Int64 // tasks made that never end
	requests requests
	feeds    *feeds
	pages    pages

	ctx   context.Context // ends at Close
	stop  context.CancelFunc
	close sync.Once
}

// Start starts a stand-in. It runs until Close, which the caller must call; ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	switch cfg.Guests {
	case "", GuestsNone, GuestsSim, GuestsQEMU:
	default:
		return nil, fmt.Errorf("start vCenter stand-in: unknown guests %q; use %q, %q or %q", cfg.Guests, GuestsNone, GuestsSim, GuestsQEMU)
	}
	s := &Server{model: cfg.Model, checked: cfg.Username != ""}
	s.feeds = newFeeds(s.hide)
	if s.model == nil {
		s.model = simulator.VPX()
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if _, err := s.faults.add(cfg.Faults...); err != nil {
		return nil, fmt.Errorf("start vCenter stand-in: %w", err)
	}
	if err := s.start(ctx, cfg); err != nil {
		s.Close()
		return nil, fmt.Errorf("start vCenter stand-in: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, cfg Config) error {
	templates.Lock()
	defer templates.Unlock()
	if err := s.populate(cfg.Load); err != nil {
		return err
	}
	if err := s.certify(cfg); err != nil {
		return err
	}
	if err := s.begin(ctx, cfg); err != nil {
		return err
	}
	s.extend()
	return s.listen(cfg)
}

// begin makes what runs in VMs.
func (s *Server) begin(ctx context.Context, cfg Config) error {
	switch cfg.Guests {
	case GuestsSim:
		g, err := newGuests(ctx, s.model.Service.Context, cfg.RestartBackOff)
		if err == nil {
			s.guests = g
		}
		return err
	case GuestsQEMU:
		g, err := newMachines(ctx, s.model.Service.Context)
		if err == nil {
			s.guests = g
		}
		return err
	default:
		return nil
	}
}

// populate makes the inventory.
func (s *Server) populate(load string) error {
	about := &s.model.ServiceContent.About
	about.FullName += " (govmomi simulator)"
	about.OsType = runtime.GOOS + "-" + runtime.GOARCH
	if load == "" {
		if err := s.model.Create(); err != nil {
			return err
		}
		correctSummaries(newContext(s.model.Service.Context))
	} else if err := s.model.Load(load); err != nil {
		return fmt.Errorf("load inventory from %s: %w", load, err)
	}
	ownSummaries(s.model.Map())
	return nil
}

// certify gets the server's certificate, and writes the CA file if the certificate has a CA of the server's own.
func (s *Server) certify(cfg Config) error {
	if cfg.Plain {
		return nil
	}
	var err error
	if s.tls, err = newCertificates(cfg.Listen, cfg.CertFile, cfg.KeyFile); err != nil || s.tls.ca == nil {
		return err
	}
	if s.dir, err = os.MkdirTemp("", "vcsim-ca-"); err != nil {
		return err
	}
	return os.WriteFile(s.CAFile(), s.tls.ca, 0o644)
}

// extend hooks the server into the simulator, and corrects what the inventory began with.
func (s *Server) extend() {
	registry := s.model.Map()
	names := newNames()
	registry.AddHandler(names)
	registry.AddHandler(newCreations())
	registry.AddHandler(s.feeds)
	if s.guests != nil {
		registry.AddHandler(s.guests)
	}
	for _, obj := range registry.All("VirtualMachine") {
		vm := obj.(*simulator.VirtualMachine)
		ctx := newContext(s.model.Service.Context)
		ctx.WithLock(vm, func() {
			names.correct(ctx, &vm.VirtualMachine)
			if s.guests != nil {
				s.guests.power(ctx, &vm.VirtualMachine)
			}
		})
	}
	s.fillDatastores()
	registry.Handler = s.handle
	registry.Cookie = sessionKey
}

// listen starts to serve.
func (s *Server) listen(cfg Config) (err error) {
	service := s.model.Service
	service.RegisterEndpoints = true
	service.Listen = &url.URL{Host: cfg.Listen}
	if s.checked {
		service.Listen.User = url.UserPassword(cfg.Username, cfg.Password)
	}
	if !cfg.Plain {
		service.TLS = &tls.Config{Certificates: []tls.Certificate{s.tls.server}, MinVersion: tls.VersionTLS12}
	}
	service.ServeMux = cfg.Mux
	if service.ServeMux == nil {
		service.ServeMux = http.NewServeMux()
	}
	s.route(service.ServeMux)
	s.routeControl(service.ServeMux, cfg.Username, cfg.Password)
	defer func() {
		if cause := recover(); cause != nil { // the simulator panics when it cannot listen
			err = fmt.Errorf("listen on %s: %v", cfg.Listen, cause)
		}
	}()
	s.sim = service.NewServer()
	s.routeTagging(service.ServeMux)
	if s.checked {
		s.model.Map().SessionManager().ValidLogin = func(login *types.Login) bool {
			return login.UserName == cfg.Username && login.Password == cfg.Password
		}
	}
	return nil
}

// Close ends the server, its guests and the waits of its clients, and removes its files. It returns when all of that has
// ended. Closing it again is harmless.
func (s *Server) Close() {
	s.close.Do(func() {
		s.stop()
		if s.guests != nil {
			s.guests.close()
		}
		if s.sim != nil {
			s.sim.Close()
		}
		if s.model.Service != nil {
			s.model.Remove()
		}
		if s.dir != "" {
			_ = os.RemoveAll(s.dir) // nothing to be done about a leftover temporary file
		}
	})
}

// URL returns the address of the vSphere API, with user and password.
func (s *Server) URL() *url.URL {
	u := *s.sim.URL
	return &u
}

// CAFile returns the file with the PEM of the CA that signed the server's certificate, for GOVC_TLS_CA_CERTS. It is ""
// if the server made no certificate.
func (s *Server) CAFile() string {
	if s.dir == "" {
		return ""
	}
	return filepath.Join(s.dir, "ca.pem")
}

// Simulator returns the simulator's server.
func (s *Server) Simulator() *simulator.Server { return s.sim }

// Service returns the simulator's service: its registry of managed objects, for example, is Service().Context.Map.
func (s *Server) Service() *simulator.Service { return s.model.Service }

// Model returns the inventory that the server began with.
func (s *Server) Model() *simulator.Model { return s.model }

// Client returns a client that has logged in and verifies the server's certificate. The caller logs it out.
func (s *Server) Client(ctx context.Context) (*govmomi.Client, error) {
	u := s.URL()
	sc := soap.NewClient(u, false)
	if s.tls.roots != nil {
		sc.DefaultTransport().TLSClientConfig.RootCAs = s.tls.roots
	}
	vc, err := vim25.NewClient(ctx, sc)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", u.Host, err)
	}
	client := &govmomi.Client{Client: vc, SessionManager: session.NewManager(vc)}
	if err := client.Login(ctx, u.User); err != nil {
		return nil, fmt.Errorf("log in at %s: %w", u.Host, err)
	}
	return client, nil
}

// newContext returns a context like base that holds no locks: locks are held on behalf of contexts.
func newContext(base *simulator.Context) *simulator.Context {
	ctx := *base
	return &ctx
}

// Pool returns the certificates that a client of the server must trust; nil means the machine's own.
func (s *Server) Pool() *x509.CertPool { return s.tls.roots }
