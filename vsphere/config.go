// SPDX-License-Identifier: Apache-2.0

// Package vsphere connects to a vCenter or an ESXi host the way govc does: the same environment variables, each also a
// flag. A Client holds one session, kept alive, renewed when vCenter has expired it, and ended by Logout.
//
// A Client is safe for use by several goroutines. Objects that live in a session, such as property collectors and
// views, are gone when a session was renewed: who holds one must be ready to make it again.
package vsphere

import (
	"os"
	"strconv"
	"time"

	"github.com/spf13/pflag"
)

// Config is how to reach vSphere and where in its inventory to work. The zero value of each field means that it is not
// set; ConfigFromEnv reads govc's variables.
type Config struct {
	URL        string // vCenter or ESXi, such as https://vc.example.com/sdk; flag --url, GOVC_URL
	Username   string // flag --username, GOVC_USERNAME; wins over a user in the URL
	Password   string // flag --password, GOVC_PASSWORD; wins over one in the URL
	Insecure   bool   // accept any certificate; flag --insecure, GOVC_INSECURE
	CACerts    string // list of PEM files of CAs to trust; flag --tls-ca-certs, GOVC_TLS_CA_CERTS
	Datacenter string // name or inventory path; flag --datacenter, GOVC_DATACENTER

	Purpose string   // what the session is for, which vCenter's list of sessions shows with the program's name and version
	Observe Observer // is told of each request; nil is nobody

	// Limit is how long the answer to one request is waited for; default a minute. Waits for updates may last as their
	// caller says.
	Limit time.Duration
}

// ConfigFromEnv returns the connection that govc's environment variables describe.
func ConfigFromEnv() Config {
	insecure, _ := strconv.ParseBool(os.Getenv("GOVC_INSECURE"))
	return Config{
		URL:        os.Getenv("GOVC_URL"),
		Username:   os.Getenv("GOVC_USERNAME"),
		Password:   os.Getenv("GOVC_PASSWORD"),
		Insecure:   insecure,
		CACerts:    os.Getenv("GOVC_TLS_CA_CERTS"),
		Datacenter: os.Getenv("GOVC_DATACENTER"),
	}
}

// Flags adds the connection's flags to flags. Their defaults are c's present values, but no password is ever shown.
func (c *Config) Flags(flags *pflag.FlagSet) {
	flags.StringVar(&c.URL, "url", c.URL, "vCenter or ESXi URL [GOVC_URL]")
	flags.StringVar(&c.Username, "username", c.Username, "user name [GOVC_USERNAME]")
	flags.StringVar(&c.Password, "password", c.Password, "password; other users of this machine can see flags, so prefer the variable [GOVC_PASSWORD]")
	flags.BoolVar(&c.Insecure, "insecure", c.Insecure, "accept any server certificate; for tests only [GOVC_INSECURE]")
	flags.StringVar(&c.CACerts, "tls-ca-certs", c.CACerts, "PEM file of the CA that signed the server's certificate [GOVC_TLS_CA_CERTS]")
	flags.StringVar(&c.Datacenter, "datacenter", c.Datacenter, "datacenter, where there are several [GOVC_DATACENTER]")
	hideDefaults(flags, "url", "password")
}

// hideDefaults keeps what may hold a password out of --help.
func hideDefaults(flags *pflag.FlagSet, names ...string) {
	for _, name := range names {
		flags.Lookup(name).DefValue = ""
	}
}
