// SPDX-License-Identifier: Apache-2.0

package guestnet

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/link/ethernet"
	"gvisor.dev/gvisor/pkg/tcpip/network/arp"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/tcpip/transport/udp"
	"gvisor.dev/gvisor/pkg/waiter"

	"wolfpack/guest/rpc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 30 * time.Second

// guest is a machine with one card, at the other end of a cable.
type guest struct {
	*testing.T
	stack *stack.Stack
	port  *Port
	mac   net.HardwareAddr
}

func newNetworks(t *testing.T) *Networks {
	t.Helper()
	n, err := New(t.Context())
	require.NoError(t, err)
	t.Cleanup(n.Close)
	return n
}

// boot plugs in a guest. It has no address yet.
func boot(t *testing.T, n *Networks, network, mac string) *guest {
	t.Helper()
	ours, theirs := net.Pipe()
	port, err := n.Join(network, mac, theirs)
	require.NoError(t, err)
	hardware, err := net.ParseMAC(mac)
	require.NoError(t, err)
	g := &guest{T: t, port: port, mac: hardware, stack: stack.New(stack.Options{
		NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, arp.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol, udp.NewProtocol},
	})}
	link := channel.New(backlog, mtu, tcpip.LinkAddress(hardware))
	require.Nil(t, g.stack.CreateNIC(nic, ethernet.New(link)))
	g.stack.SetRouteTable([]tcpip.Route{{Destination: header.IPv4EmptySubnet, NIC: nic}})
	ctx, cancel := context.WithCancel(context.Background())
	var wires sync.WaitGroup
	wires.Go(func() {
		in := bufio.NewReader(ours)
		for {
			frame, err := rpc.ReadFrame(in, maxFrame)
			if err != nil {
				return
			}
			packet := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(frame)})
			link.InjectInbound(0, packet)
			packet.DecRef()
		}
	})
	wires.Go(func() {
		for {
			packet := link.ReadContext(ctx)
			if packet == nil {
				return
			}
			view := packet.ToView()
			packet.DecRef()
			if rpc.WriteFrame(ours, view.AsSlice()) != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		require.NoError(t, port.Close())
		cancel()
		_ = ours.Close()
		wires.Wait()
		g.stack.Destroy()
	})
	return g
}

// exchange sends a DHCP message and waits for the answer of a type.
func (g *guest) exchange(message *dhcpv4.DHCPv4, want dhcpv4.MessageType) *dhcpv4.DHCPv4 {
	g.Helper()
	var queue waiter.Queue
	endpoint, failed := g.stack.NewEndpoint(udp.ProtocolNumber, ipv4.ProtocolNumber, &queue)
	require.Nil(g, failed)
	endpoint.SocketOptions().SetBroadcast(true)
	require.Nil(g, endpoint.Bind(tcpip.FullAddress{NIC: nic, Port: 68}))
	conn := gonet.NewUDPConn(&queue, endpoint)
	defer conn.Close()
	require.NoError(g, conn.SetDeadline(time.Now().Add(patience)))
	_, err := conn.WriteTo(message.ToBytes(), &net.UDPAddr{IP: net.IPv4bcast, Port: 67})
	require.NoError(g, err)
	text := make([]byte, 2048)
	for {
		size, _, err := conn.ReadFrom(text)
		require.NoError(g, err)
		answer, err := dhcpv4.FromBytes(text[:size])
		require.NoError(g, err)
		if answer.TransactionID == message.TransactionID {
			require.Equal(g, want, answer.MessageType())
			return answer
		}
	}
}

// lease gets the guest's address, and takes it.
func (g *guest) lease() *dhcpv4.DHCPv4 {
	g.Helper()
	// A machine without an address sends from 0.0.0.0, which this stack can only do when it has that address.
	unset := tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: tcpip.AddrFrom4([4]byte{}).WithPrefix()}
	require.Nil(g, g.stack.AddProtocolAddress(nic, unset, stack.AddressProperties{}))
	discover, err := dhcpv4.NewDiscovery(g.mac, dhcpv4.WithBroadcast(true))
	require.NoError(g, err)
	offer := g.exchange(discover, dhcpv4.MessageTypeOffer)
	request, err := dhcpv4.NewRequestFromOffer(offer, dhcpv4.WithBroadcast(true))
	require.NoError(g, err)
	ack := g.exchange(request, dhcpv4.MessageTypeAck)
	require.Nil(g, g.stack.RemoveAddress(nic, unset.AddressWithPrefix.Address))
	size, _ := ack.SubnetMask().Size()
	own := tcpip.AddressWithPrefix{Address: tcpip.AddrFrom4Slice(ack.YourIPAddr.To4()), PrefixLen: size}
	require.Nil(g, g.stack.AddProtocolAddress(nic, tcpip.ProtocolAddress{Protocol: ipv4.ProtocolNumber, AddressWithPrefix: own}, stack.AddressProperties{}))
	subnet := own.Subnet()
	g.stack.SetRouteTable([]tcpip.Route{
		{Destination: subnet, NIC: nic},
		{Destination: header.IPv4EmptySubnet, Gateway: tcpip.AddrFrom4Slice(ack.Router()[0].To4()), NIC: nic},
	})
	return ack
}

// serve answers each connection to a port of the guest's with a word.
func (g *guest) serve(port uint16, word string) {
	g.Helper()
	listener, err := gonet.ListenTCP(g.stack, tcpip.FullAddress{NIC: nic, Port: port}, ipv4.ProtocolNumber)
	require.NoError(g, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, word) // or the client sees that it is missing
			_ = conn.Close()
		}
	})
	g.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
}

// dial connects the guest to an address.
func (g *guest) dial(to netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(g.Context(), patience)
	defer cancel()
	conn, err := gonet.DialContextTCP(ctx, g.stack, tcpip.FullAddress{Addr: tcpip.AddrFrom4(to.Addr().As4()), Port: to.Port()}, ipv4.ProtocolNumber)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// resolve asks the DNS server that DHCP told of.
func (g *guest) resolve(server net.IP, name string) *dns.Msg {
	g.Helper()
	conn, err := gonet.DialUDP(g.stack, nil, &tcpip.FullAddress{Addr: tcpip.AddrFrom4Slice(server.To4()), Port: 53}, ipv4.ProtocolNumber)
	require.NoError(g, err)
	defer conn.Close()
	require.NoError(g, conn.SetDeadline(time.Now().Add(patience)))
	wire := &dns.Conn{Conn: conn}
	require.NoError(g, wire.WriteMsg(new(dns.Msg).SetQuestion(name, dns.TypeA)))
	answer, err := wire.ReadMsg()
	require.NoError(g, err)
	return answer
}

func TestGuests(t *testing.T) {
	n := newNetworks(t)
	one, two := boot(t, n, "pg", "00:50:56:00:00:01"), boot(t, n, "pg", "00:50:56:00:00:02")
	elsewhere := boot(t, n, "other", "00:50:56:00:00:01")
	ack := one.lease()
	require.Equal(t, one.port.Address.String(), ack.YourIPAddr.String())
	two.lease()
	elsewhere.lease()
	require.NotEqual(t, one.port.Address, two.port.Address)

	two.serve(80, "I am two")
	elsewhere.serve(80, "I am elsewhere")

	t.Run("reach each other", func(t *testing.T) {
		conn, err := one.dial(netip.AddrPortFrom(two.port.Address, 80))
		require.NoError(t, err)
		defer conn.Close()
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Equal(t, "I am two", string(text))
	})
	t.Run("reach this machine by name", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "I am here") }))
		defer server.Close()
		answer := one.resolve(ack.DNS()[0], HostName+".")
		require.Len(t, answer.Answer, 1)
		host, ok := netip.AddrFromSlice(answer.Answer[0].(*dns.A).A.To4())
		require.True(t, ok)
		here := netip.MustParseAddrPort(strings.TrimPrefix(server.URL, "http://"))
		conn, err := one.dial(netip.AddrPortFrom(host, here.Port()))
		require.NoError(t, err)
		defer conn.Close()
		_, err = io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		require.Contains(t, string(text), "I am here")
	})
	t.Run("are reached through the proxy", func(t *testing.T) {
		require.Equal(t, "I am two", through(t, n.Proxy(), netip.AddrPortFrom(two.port.Address, 80)))
		require.Equal(t, "I am elsewhere", through(t, n.Proxy(), netip.AddrPortFrom(elsewhere.port.Address, 80)))
	})
}

// through connects to an address by way of a SOCKS5 proxy, and returns what is said there.
func through(t *testing.T, proxy *url.URL, to netip.AddrPort) string {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", proxy.Host)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	ip := to.Addr().As4()
	hello := append(append([]byte{5, 1, 0, 5, 1, 0, 1}, ip[:]...), byte(to.Port()>>8), byte(to.Port()))
	_, err = conn.Write(hello)
	require.NoError(t, err)
	answer := make([]byte, 12)
	_, err = io.ReadFull(conn, answer)
	require.NoError(t, err)
	require.Equal(t, []byte{5, 0, 5, 0}, answer[:4])
	text, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(text)
}

// A card has its address for as long as it is plugged in, and gets the same one again.
func TestAddresses(t *testing.T) {
	n := newNetworks(t)
	join := func(mac string) (*Port, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _ = ours.Close() })
		port, err := n.Join("pg", mac, theirs)
		if err != nil {
			_ = theirs.Close()
		}
		return port, err
	}
	const mac = "00:50:56:00:00:01"
	port, err := join(mac)
	require.NoError(t, err)
	_, err = join(mac)
	require.EqualError(t, err, "another card of this network has the MAC address "+mac)
	require.NoError(t, port.Close())
	require.NoError(t, port.Close(), "a second time")
	again, err := join(mac)
	require.NoError(t, err)
	require.Equal(t, port.Address, again.Address)
	_, err = join("nonsense")
	require.ErrorContains(t, err, `MAC address "nonsense"`)

	seen := map[netip.Addr]bool{again.Address: true}
	for i := 2; ; i++ {
		port, err := join(net.HardwareAddr{0, 0x50, 0x56, 0, byte(i >> 8), byte(i)}.String())
		if err != nil {
			require.ErrorContains(t, err, "all 1020 addresses of 100.64.0.0/22 are taken")
			break
		}
		require.True(t, netip.MustParsePrefix("100.64.0.0/22").Contains(port.Address))
		require.False(t, seen[port.Address], port.Address)
		seen[port.Address] = true
	}
	require.Len(t, seen, 1020)
}

// Frames that are none do no harm, and a card that takes none holds up nobody.
func TestPort(t *testing.T) {
	ours, theirs := net.Pipe()
	port := newPort(theirs)
	go func() {
		_ = rpc.WriteFrame(ours, []byte("too short"))
		_ = rpc.WriteFrame(ours, make([]byte, minFrame))
	}()
	frame := make([]byte, 2*maxFrame)
	size, err := port.Read(frame)
	require.NoError(t, err)
	require.Equal(t, minFrame, size)
	for range 2 * backlog {
		_, err := port.Write(frame[:minFrame])
		require.NoError(t, err)
	}
	go func() { _, _ = ours.Write([]byte{0xff, 0xff, 0xff, 0xff}) }()
	_, err = port.Read(frame)
	require.ErrorContains(t, err, "a message of 4294967295 bytes")
	require.NoError(t, port.Close())
	require.NoError(t, ours.Close())
}

func TestProxyRefuses(t *testing.T) {
	n := newNetworks(t)
	for name, request := range map[string][]byte{
		"an address of no network": {5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80},
		"a name":                   {5, 1, 0, 5, 1, 0, 3, 3, 'w', 'e', 'b', 0, 80},
		"to listen":                {5, 1, 0, 5, 2, 0, 1, 100, 64, 0, 1, 0, 80},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", n.Proxy().Host)
			require.NoError(t, err)
			defer conn.Close()
			require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
			_, err = conn.Write(request)
			require.NoError(t, err)
			answer := make([]byte, 4)
			_, err = io.ReadFull(conn, answer)
			require.NoError(t, err)
			require.NotZero(t, answer[3])
		})
	}
}
