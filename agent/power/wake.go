package power

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// wakePort is discard's, where magic packets are sent by custom.
const wakePort = 9

// wake is Wake-on-LAN: a magic packet in a network's broadcast. Nothing answers it.
type wake struct {
	packet  []byte
	address string // empty: the broadcast address of every network the agent is in
}

func newWake(how api.OrderPower, password string) (*wake, error) {
	mac, err := net.ParseMAC(how.MAC)
	if err != nil || len(mac) != 6 {
		return nil, inventory.FieldErrorf("mac", "mac %q must look like 52:54:00:12:34:56", how.MAC)
	}
	// SecureOn: six octets after the rest, written as a MAC address.
	var secure net.HardwareAddr
	if password != "" {
		if secure, err = net.ParseMAC(password); err != nil || len(secure) != 6 {
			return nil, inventory.FieldErrorf("password", "a Wake-on-LAN password must look like 12:34:56:78:9a:bc")
		}
	}
	address := how.Address
	if address != "" {
		if _, err := netip.ParseAddr(address); err == nil {
			address = net.JoinHostPort(address, strconv.Itoa(wakePort))
		} else if _, err := netip.ParseAddrPort(address); err != nil {
			return nil, inventory.FieldErrorf("address", "address %q must be a broadcast address such as 192.0.2.255", how.Address)
		}
	}
	return &wake{packet: append(magic(mac), secure...), address: address}, nil
}

// magic is six times FF and sixteen times the address.
func magic(mac net.HardwareAddr) []byte {
	return append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat(mac, 16)...)
}

// Status implements Driver: nobody can tell.
func (d *wake) Status(context.Context) (inventory.PowerState, error) {
	return inventory.PowerUnknown, nil
}

func (d *wake) On(ctx context.Context) error {
	to := []string{d.address}
	if d.address == "" {
		var err error
		if to, err = broadcasts(); err != nil {
			return err
		}
	}
	var errs []error
	for _, address := range to {
		errs = append(errs, d.send(ctx, address))
	}
	if err := errors.Join(errs...); err != nil {
		return inventory.Fail("send a magic packet: %v", err)
	}
	return nil
}

func (d *wake) send(ctx context.Context, address string) error {
	conn, err := new(net.Dialer).DialContext(ctx, "udp4", address) // Go's UDP sockets may broadcast
	if err != nil {
		return err
	}
	_, err = conn.Write(d.packet)
	return errors.Join(err, conn.Close())
}

// broadcasts are the directed broadcast addresses of the networks this machine
// is in, so that the packet leaves by every interface.
func broadcasts() (to []string, err error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, inventory.Fail("list this machine's networks: %v", err)
	}
	for _, i := range interfaces {
		if i.Flags&(net.FlagUp|net.FlagBroadcast) != net.FlagUp|net.FlagBroadcast {
			continue
		}
		addresses, err := i.Addrs()
		if err != nil {
			continue // gone since
		}
		for _, a := range addresses {
			n, ok := a.(*net.IPNet)
			ip := n.IP.To4()
			if !ok || ip == nil || len(n.Mask) != net.IPv4len {
				continue
			}
			last := make(net.IP, net.IPv4len)
			for at := range last {
				last[at] = ip[at] | ^n.Mask[at]
			}
			to = append(to, net.JoinHostPort(last.String(), strconv.Itoa(wakePort)))
		}
	}
	if len(to) == 0 {
		return nil, inventory.Fail("this machine is in no network that has broadcasts")
	}
	return to, nil
}

func (d *wake) Off(context.Context) error   { return errWake }
func (d *wake) Cycle(context.Context) error { return errWake }

var errWake = inventory.Fail("%v: Wake-on-LAN can switch on only", errUnsupported)
