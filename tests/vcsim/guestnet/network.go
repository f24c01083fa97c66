// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/containers/gvisor-tap-vsock/pkg/services/dhcp"
	"github.com/containers/gvisor-tap-vsock/pkg/services/dns"
	"github.com/containers/gvisor-tap-vsock/pkg/services/forwarder"
	"github.com/containers/gvisor-tap-vsock/pkg/tap"
	vtypes "github.com/containers/gvisor-tap-vsock/pkg/types"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/icmp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
)

// Each network is a block 100.64.B.0/22 of the addresses that are for networks of a provider's own.
const (
	prefix     = 22
	maxNetwork = 1 << (prefix - 10)
	nic        = 1 // of a stack, its only one
	mtu        = 1500
	gatewayMAC = "02:00:00:00:00:01"
)

// network is an Ethernet with a gateway. The last addresses are the gateway's: its own, and this machine's behind it.
type network struct {
	subnet  netip.Prefix
	gateway netip.Addr
	host    netip.Addr

	stack  *stack.Stack
	ether  *tap.Switch
	leases *tap.IPPool
	close  func()
	ports  sync.WaitGroup
	plugs  plugs
}

// plugs are the cards of a network.
type plugs struct {
	mu    sync.Mutex // guards the fields below
	byMAC map[string]*Port
	taken map[netip.Addr]bool
}

// newNetwork returns the network with a number.
func newNetwork(number int) (*network, error) {
	if number >= maxNetwork {
		return nil, fmt.Errorf("there are %d networks already", number)
	}
	base := uint32(100<<24|64<<16) + uint32(number)<<(32-prefix)
	last := base + 1<<(32-prefix) - 1
	n := &network{
		subnet: netip.PrefixFrom(address(base), prefix), gateway: address(last - 1), host: address(last - 2),
		plugs: plugs{byMAC: make(map[string]*Port), taken: make(map[netip.Addr]bool)},
	}
	link, err := tap.NewLinkEndpoint(false, mtu, gatewayMAC, n.gateway.String(), []string{n.host.String()})
	if err != nil {
		return nil, err
	}
	n.ether = tap.NewSwitch(false)
	link.Connect(n.ether)
	n.ether.Connect(link)
	n.stack = stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol, icmp.NewProtocol4},
	})
	stop, err := n.attach(link)
	n.close = func() {
		n.plugs.pullAll()
		n.ports.Wait()
		stop()
		n.stack.Destroy()
	}
	if err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func address(number uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)})
}

// attach makes the stack the network's gateway. What it returns ends the gateway's services.
func (n *network) attach(link stack.LinkEndpoint) (stop func(), err error) {
	var closers []func() error
	var services sync.WaitGroup
	stop = func() {
		for _, end := range closers {
			_ = end() // nobody uses it any more
		}
		services.Wait()
	}
	gateway, host := tcpip.AddrFrom4(n.gateway.As4()), tcpip.AddrFrom4(n.host.As4())
	if err := n.stack.CreateNIC(nic, link); err != nil {
		return stop, errors.New(err.String())
	}
	own := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: gateway.WithPrefix()}
	if err := n.stack.AddProtocolAddress(nic, own, stack.AddressProperties{}); err != nil {
		return stop, errors.New(err.String())
	}
	n.stack.SetSpoofing(nic, true) // the gateway answers for whom guests connect to
	n.stack.SetPromiscuousMode(nic, true)
	subnet, err := tcpip.NewSubnet(tcpip.AddrFrom4(n.subnet.Addr().As4()), tcpip.MaskFromBytes(net.CIDRMask(prefix, 32)))
	if err != nil {
		return stop, err
	}
	n.stack.SetRouteTable([]tcpip.Route{{Destination: subnet, NIC: nic}})

	out := forwarder.TCP(n.stack, map[tcpip.Address]tcpip.Address{host: tcpip.AddrFrom4([4]byte{127, 0, 0, 1})}, new(sync.Mutex), false)
	n.stack.SetTransportProtocolHandler(tcp.ProtocolNumber, out.HandlePacket)

	at := tcpip.FullAddress{NIC: nic, Addr: gateway, Port: 53}
	queries, err := gonet.DialUDP(n.stack, &at, nil, ipv4.ProtocolNumber)
	if err != nil {
		return stop, err
	}
	closers = append(closers, queries.Close)
	streams, err := gonet.ListenTCP(n.stack, at, ipv4.ProtocolNumber)
	if err != nil {
		return stop, err
	}
	closers = append(closers, streams.Close)
	name, zone, _ := strings.Cut(HostName, ".")
	names, err := dns.New(queries, streams, []vtypes.Zone{{Name: zone + ".", Records: []vtypes.Record{{Name: name, IP: n.host.AsSlice()}}}})
	if err != nil {
		return stop, err
	}
	n.leases = tap.NewIPPool(&net.IPNet{IP: n.subnet.Addr().AsSlice(), Mask: net.CIDRMask(prefix, 32)})
	for _, taken := range []netip.Addr{n.gateway, n.host} {
		n.leases.Reserve(taken.AsSlice(), gatewayMAC)
	}
	config := &vtypes.Configuration{Subnet: n.subnet.String(), GatewayIP: n.gateway.String(), MTU: mtu}
	addresses, err := dhcp.New(config, n.stack, n.leases)
	if err != nil {
		return stop, err
	}
	closers = append(closers, addresses.Underlying.Close)
	for _, serve := range []func() error{names.Serve, names.ServeTCP, addresses.Serve} {
		services.Go(func() { _ = serve() }) // until what it serves is closed
	}
	return stop, nil
}

func (n *network) dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	conn, err := gonet.DialContextTCP(ctx, n.stack,
		tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFrom4(to.Addr().As4()), Port: to.Port()}, ipv4.ProtocolNumber)
	if err != nil {
		return nil, err // not a nil pointer in an interface
	}
	return conn, nil
}

// join plugs in a card, and reserves an address for it.
func (n *network) join(mac string, cable net.Conn) (*Port, error) {
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return nil, fmt.Errorf("MAC address %q of a card: %w", mac, err)
	}
	port := newPort(cable)
	ip, err := n.plugs.put(hardware.String(), port, n.subnet)
	if err != nil {
		return nil, err
	}
	n.leases.Reserve(ip.AsSlice(), hardware.String())
	port.Address = ip
	port.unplug = func() {
		n.leases.Release(hardware.String())
		n.plugs.take(hardware.String(), port)
	}
	n.ports.Go(func() { _ = n.ether.Accept(context.Background(), port, vtypes.VfkitProtocol) }) // until it is closed
	n.ports.Go(port.send)
	return port, nil
}

// put finds an address for a card: the same one as before, if that is free.
func (p *plugs) put(mac string, port *Port, subnet netip.Prefix) (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byMAC[mac] != nil {
		return netip.Addr{}, fmt.Errorf("another card of this network has the MAC address %s", mac)
	}
	const cards = 1<<(32-prefix) - 4 // all but the network's own, the host's, the gateway's and the one for all
	raw := subnet.Addr().As4()
	base := uint32(raw[0])<<24 | uint32(raw[1])<<16 | uint32(raw[2])<<8 | uint32(raw[3])
	first := preferred(mac, cards)
	for i := range uint32(cards) {
		ip := address(base + 1 + (first+i)%cards)
		if !p.taken[ip] {
			p.taken[ip], p.byMAC[mac], port.Address = true, port, ip
			return ip, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("all %d addresses of %s are taken", cards, subnet)
}

func (p *plugs) take(mac string, port *Port) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.byMAC, mac)
	delete(p.taken, port.Address)
}

func (p *plugs) pullAll() {
	p.mu.Lock()
	var all []*Port
	for _, port := range p.byMAC {
		all = append(all, port)
	}
	p.mu.Unlock()
	for _, port := range all {
		_ = port.Close() // it cannot be used any more
	}
}
