// SPDX-License-Identifier: Apache-2.0

package vsphere

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/session/keepalive"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"

	"wolfpack/errs"
	"wolfpack/version"
)

// keepAlive is how often an idle session is touched. vCenter ends a session that was idle for 30 minutes by default.
const keepAlive = 10 * time.Minute

// logoutTimeout bounds Logout, which runs when the caller's context is often already over.
const logoutTimeout = 5 * time.Second

// requestLimit is the default of Config.Limit. A vCenter that takes a connection and then says nothing would be waited for
// for ever.
const requestLimit = time.Minute

// idleConnections is how many connections are kept for the next requests. With net/http's 2, a program that has more
// requests under way spends most of its time, and the server's, on TLS handshakes.
const idleConnections = 64

// Client is one session with a vCenter or an ESXi host.
type Client struct {
	*vim25.Client
	config   Config
	user     *url.Userinfo // the transport keeps none
	sessions *session.Manager
	answers  *answers
}

// Connect logs in. Its errors say which setting to change: errs.Invalid for a URL or a certificate that cannot work,
// errs.Unavailable for a server that does not answer, errs.Denied for a user that is refused.
func Connect(ctx context.Context, config Config) (*Client, error) {
	const op = "vsphere.Connect"
	target, err := config.target()
	if err != nil {
		return nil, errs.New(op, errs.Invalid, "%w", err)
	}
	transport := soap.NewClient(target, config.Insecure)
	transport.DefaultTransport().MaxIdleConnsPerHost = idleConnections
	transport.UserAgent = config.userAgent()
	answers := &answers{RoundTripper: transport.Client.Transport}
	transport.Client.Transport = answers
	if config.CACerts != "" {
		if err := transport.SetRootCAs(config.CACerts); err != nil {
			return nil, errs.New(op, errs.Invalid, "CA certificates %q: %w; give PEM files with --tls-ca-certs or GOVC_TLS_CA_CERTS", config.CACerts, err)
		}
	}
	if config.Observe == nil {
		config.Observe = unobserved
	}
	config.Limit = cmp.Or(config.Limit, requestLimit)
	_, answered := config.Observe(ctx, "RetrieveServiceContent")
	connecting, cancel := context.WithTimeout(ctx, config.Limit)
	defer cancel()
	client, err := vim25.NewClient(connecting, transport)
	answered(err)
	if err != nil {
		return nil, explainConnect(ctx, op, target, err)
	}
	c := &Client{Client: client, config: config, user: target.User, sessions: session.NewManager(client), answers: answers}
	wire := &observed{RoundTripper: &limited{client.RoundTripper, config.Limit}, observe: config.Observe}
	client.RoundTripper = &renewal{RoundTripper: keepalive.NewHandlerSOAP(wire, keepAlive, nil), login: c.login}
	if err := c.login(ctx); err != nil {
		return nil, explainLogin(op, target, err)
	}
	return c, nil
}

// Logout ends the session. It works after ctx is over, within a few seconds, because a session that is left behind
// counts against vCenter's limit until it expires.
func (c *Client) Logout(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), logoutTimeout)
	defer cancel()
	defer c.CloseIdleConnections()
	return errs.Wrap("vsphere.Logout", c.sessions.Logout(ctx))
}

// Datacenter is the configured datacenter, by name or path; "" for the only one there is.
func (c *Client) Datacenter() string { return c.config.Datacenter }

// Finder returns a finder that works in the configured datacenter, or in the only one there is.
func (c *Client) Finder(ctx context.Context) (*find.Finder, *object.Datacenter, error) {
	const op = "vsphere.Finder"
	finder := find.NewFinder(c.Client, false)
	datacenter, err := finder.DatacenterOrDefault(ctx, c.config.Datacenter)
	if err != nil {
		return nil, nil, errs.New(op, errs.Invalid, "datacenter %q: %w; name one with --datacenter or GOVC_DATACENTER%s",
			c.config.Datacenter, err, c.choices(ctx, finder))
	}
	return finder.SetDatacenter(datacenter), datacenter, nil
}

func (c *Client) choices(ctx context.Context, finder *find.Finder) string {
	all, err := finder.DatacenterList(ctx, "*")
	if err != nil {
		return ""
	}
	text := "; there are:"
	for _, datacenter := range all {
		text += " " + datacenter.InventoryPath
	}
	return text
}

func (c *Client) login(ctx context.Context) error {
	return c.sessions.Login(ctx, c.user)
}

func password(u *url.URL) string {
	password, _ := u.User.Password()
	return password
}

func (c Config) userAgent() string {
	agent := "wolfpack/" + version.Get().Version
	if c.Purpose != "" {
		agent += " (" + c.Purpose + ")"
	}
	return agent
}

// target is the URL with the user and password to use.
func (c Config) target() (*url.URL, error) {
	if c.URL == "" {
		return nil, errors.New("no vCenter given; set GOVC_URL or --url, such as https://vc.example.com/sdk")
	}
	target, err := soap.ParseURL(c.URL)
	if err != nil {
		return nil, errors.New("the vCenter URL does not parse; want one such as https://vc.example.com/sdk (a password with special characters goes into GOVC_PASSWORD)")
	}
	username, secret := target.User.Username(), password(target)
	if c.Username != "" {
		username = c.Username
	}
	if c.Password != "" {
		secret = c.Password
	}
	if username == "" {
		return nil, fmt.Errorf("no user for vCenter %s; set GOVC_USERNAME and GOVC_PASSWORD", target.Host)
	}
	target.User = url.UserPassword(username, secret)
	return target, nil
}

func explainConnect(ctx context.Context, op string, target *url.URL, err error) error {
	if soap.IsCertificateUntrusted(err) {
		return errs.New(op, errs.Invalid, "the certificate of vCenter %s is not trusted: %w%s; give its CA with --tls-ca-certs or GOVC_TLS_CA_CERTS",
			target.Host, rootCause(err), thumbprint(ctx, target))
	}
	return errs.New(op, errs.Unavailable, "vCenter %s does not answer: %w; check GOVC_URL or --url and the network", target.Host, rootCause(err))
}

func explainLogin(op string, target *url.URL, err error) error {
	if errs.Is(err, errs.Denied) {
		return errs.New(op, errs.Denied, "vCenter %s refuses user %q: %w; check GOVC_USERNAME and GOVC_PASSWORD",
			target.Host, target.User.Username(), err)
	}
	return errs.New(op, errs.KindOf(err), "login to vCenter %s as %q: %w", target.Host, target.User.Username(), err)
}

// rootCause drops the http client's own words, which repeat the URL.
func rootCause(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// thumbprint is the SHA-256 of the certificate that the server shows, for a person to compare, or nothing if it cannot
// be had.
func thumbprint(ctx context.Context, target *url.URL) string {
	host := target.Host
	if target.Port() == "" {
		host = net.JoinHostPort(target.Hostname(), "443")
	}
	dialer := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // only looked at, nothing is sent
	conn, err := dialer.DialContext(ctx, "tcp", host)
	if err != nil {
		return ""
	}
	defer func() { _ = conn.Close() }()
	return fmt.Sprintf(" (SHA-256 %s)", fingerprint(conn.(*tls.Conn).ConnectionState().PeerCertificates[0]))
}

func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return fmt.Sprintf("%X", sum[:])
}
