package power

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bougou/go-ipmi/pkg/bmc"
	"github.com/bougou/go-ipmi/pkg/clock"
	"github.com/bougou/go-ipmi/pkg/hal/mock"
	"github.com/bougou/go-ipmi/pkg/server"
	"github.com/bougou/go-ipmi/pkg/transport/udp"

	"mailfleet/controller/api"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

func ipmiAt(t *testing.T, address, user, password string) *ipmi {
	t.Helper()
	d, err := newIPMI(api.OrderPower{Kind: inventory.PowerIPMI, Address: address, User: user}, password)
	if err != nil {
		t.Fatal(err)
	}
	d.wait = 20 * time.Second // the simulator may have to wait for the processor
	return d
}

// simulator starts OpenIPMI's with a chassis that is a file.
func simulator(t *testing.T) (address, calls string) {
	program := peers.Find(t, "openipmi", "ipmi_sim")
	dir := t.TempDir()
	port := freeUDP(t)
	for name, text := range map[string]string{
		"bmc.emu": "mc_setbmc 0x20\nmc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02\nmc_enable 0x20\n",
		"lan.conf": fmt.Sprintf(`name "bmc"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %d
    priv_limit admin
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "%s/chassis 0x20"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "correct-horse" admin 10 none md2 md5 straight
  user 3 true "oper" "battery-staple" operator 10 none md2 md5 straight
`, port, dir),
		"chassis": `#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >> calls
shift; op=$1; shift
case $op in
get) for what; do case $what in power) echo "power:$(cat power)";; *) echo "$what:0";; esac; done;;
set) while [ $# -gt 0 ]; do [ "$1" = power ] && echo "$2" > power; shift 2; done;;
esac
`, "power": "0",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, dir, program, "-c", "lan.conf", "-f", "bmc.emu", "-s", "state", "-n")
	address = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	soon(t, "the simulator answers", func() bool {
		_, err := Status(t.Context(), ipmiAt(t, address, "oper", "battery-staple"))
		return err == nil
	})
	return address, filepath.Join(dir, "calls")
}

func TestIPMISwitchesOpenIPMIsSimulator(t *testing.T) {
	address, calls := simulator(t)
	walk(t, ipmiAt(t, address, "oper", "battery-staple"))
	text, err := os.ReadFile(calls)
	if err != nil || strings.Count(string(text), "set power 0") < 2 { // off and the cycle's first half
		t.Errorf("the chassis was told, %v:\n%s", err, text)
	}
	refuses(t, ipmiAt(t, address, "admin", "wrong"), "wrong", `does not take the password of user "admin"`)
	refuses(t, ipmiAt(t, address, "nobody", "correct-horse"), "correct-horse", `has no user "nobody"`)
}

// goBMC starts go-ipmi's own management controller.
func goBMC(t *testing.T) (address string, chassis *mock.Chassis) {
	hal := mock.New()
	chassis, ok := hal.Chassis().(*mock.Chassis)
	if !ok {
		t.Fatal("the mock has another chassis")
	}
	b := bmc.New(bmc.DeviceInfo{DeviceID: 32, IPMIVersion: 0x20, AdditionalDeviceSupport: 0x80}, [16]byte{1}, hal, bmc.WithClock(clock.Real))
	for i, u := range []struct {
		name, password string
		may            bmc.PrivilegeLevel
	}{{"admin", "correct-horse", bmc.PrivilegeLevelAdministrator}, {"guest", "guest", bmc.PrivilegeLevelUser}} {
		user, err := b.Users.Add(uint8(2+i), u.name)
		if err != nil {
			t.Fatal(err)
		}
		user.SetPassword([]byte(u.password))
		user.Enabled = true
		user.ChannelAccess[1] = bmc.UserChannelAccess{MaxPrivilege: u.may, Enabled: true}
	}
	conn := listenUDP(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	s := server.NewServer(b, udp.Wrap(conn))
	go func() { defer close(done); _ = s.Serve(ctx) }()
	t.Cleanup(func() { cancel(); _ = conn.Close(); <-done })
	return conn.LocalAddr().String(), chassis
}

func TestIPMISwitchesTheControllerThatIpmitoolSwitches(t *testing.T) {
	tool := peers.Find(t, "ipmitool", "ipmitool")
	address, chassis := goBMC(t)
	host, port, _ := net.SplitHostPort(address)
	ask := func(words ...string) string {
		return output(t, tool, append([]string{"-I", "lanplus", "-C", "3", "-H", host, "-p", port, "-U", "admin", "-P", "correct-horse", "power"}, words...)...)
	}
	d := ipmiAt(t, address, "admin", "correct-horse")
	walk(t, d)
	if chassis.PowerCycles != 1 {
		t.Errorf("%d power cycles", chassis.PowerCycles)
	}
	if said := ask("status"); !strings.Contains(said, "is on") {
		t.Errorf("ipmitool says %q of what we switched on", said)
	}
	ask("off")
	if s := status(t, d); s != inventory.PowerOff {
		t.Errorf("%s, when ipmitool switched it off", s)
	}
	refuses(t, ipmiAt(t, address, "admin", "wrong-horse"), "wrong-horse", "does not take the password")
	refuses(t, ipmiAt(t, address, "guest", "guest"), "", `does not let user "guest" switch the power`)
}

func TestASilentControllerIsGivenUp(t *testing.T) {
	silent := listenUDP(t)
	defer func() { _ = silent.Close() }()
	d := ipmiAt(t, silent.LocalAddr().String(), "admin", "secret")
	d.wait, d.retries = 50*time.Millisecond, 2
	began := time.Now()
	refuses(t, d, "secret", "does not answer")
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
	d.wait = time.Hour // and within the caller's time in any case
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began = time.Now()
	if _, err := d.Status(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Error(err)
	}
	if took := time.Since(began); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

func TestASlowControllerIsWaitedFor(t *testing.T) {
	address, chassis := goBMC(t)
	d := ipmiAt(t, proxy(t, address, 150*time.Millisecond), "admin", "correct-horse")
	err := d.On(t.Context())
	if on, _ := chassis.PowerState(t.Context()); err != nil || !on {
		t.Errorf("on: %v, %v", on, err)
	}
}

func TestWrongSettingsAreRefusedByField(t *testing.T) {
	const ok = "52:54:00:12:34:56"
	for _, c := range []struct {
		how      api.OrderPower
		password string
		field    string
	}{
		{api.OrderPower{Kind: "telepathy"}, "", "kind"},
		{api.OrderPower{Kind: inventory.PowerIPMI}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerIPMI, Address: "bmc:70000"}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerIPMI, Address: "bmc", User: strings.Repeat("x", 17)}, "", "user"},
		{api.OrderPower{Kind: inventory.PowerIPMI, Address: "bmc"}, strings.Repeat("x", 21), "password"},
		{api.OrderPower{Kind: inventory.PowerRedfish}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerRedfish, Address: "http://bmc"}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerRedfish, Address: "https://a:b@bmc"}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerRedfish, Address: "bmc", TLSPin: "ab"}, "", "tls_pin"},
		{api.OrderPower{Kind: inventory.PowerWake, MAC: "nonsense"}, "", "mac"},
		{api.OrderPower{Kind: inventory.PowerWake, MAC: ok, Address: "somewhere"}, "", "address"},
		{api.OrderPower{Kind: inventory.PowerWake, MAC: ok}, "letters", "password"},
		{api.OrderPower{Kind: inventory.PowerCommand, Command: []string{"power"}}, "", "command"},
		{api.OrderPower{Kind: inventory.PowerDev}, "", "kind"},
	} {
		_, err := New(c.how, "mail1", c.password, Options{})
		e, ok := errors.AsType[*inventory.Error](err)
		if !ok || e.Field != c.field {
			t.Errorf("%+v: %v, want a complaint about %s", c.how, err, c.field)
		}
	}
}
