package power

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bougou/go-ipmi/pkg/client"
	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/types"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

const (
	ipmiPort = 623
	// Limits of IPMI 2.0, §13.20 and §22.30: a longer password would be cut and
	// refused.
	ipmiMaxUser     = 16
	ipmiMaxPassword = 20
	// A controller that is silent is given up after ipmiWait times ipmiRetries + 1.
	ipmiWait    = 2 * time.Second
	ipmiRetries = 3
	// closeLimit is how long saying goodbye may take.
	closeLimit = time.Second
)

// The sessions that are tried: SHA-256 and, for older controllers, SHA-1. They
// are not asked which they have: some (and OpenIPMI's simulator) never answer that.
var ipmiSuites = []types.CipherSuiteID{types.CipherSuiteID17, types.CipherSuiteID3}

// ipmi is IPMI 2.0 over LAN (RMCP+), with the privilege of an operator, which
// is enough for power.
type ipmi struct {
	host     string
	port     int
	user     string
	password string
	wait     time.Duration
	retries  int
}

func newIPMI(how api.OrderPower, password string) (*ipmi, error) {
	d := &ipmi{host: how.Address, port: ipmiPort, user: how.User, password: password, wait: ipmiWait, retries: ipmiRetries}
	if host, port, err := net.SplitHostPort(how.Address); err == nil {
		d.host = host
		if d.port, err = strconv.Atoi(port); err != nil || d.port < 1 || d.port > 65535 {
			return nil, inventory.FieldErrorf("address", "the port of %q is not between 1 and 65535", how.Address)
		}
	}
	switch {
	case d.host == "" || strings.ContainsAny(d.host, " /"):
		return nil, inventory.FieldErrorf("address", "address %q must be the management controller's host, or host:port", how.Address)
	case len(how.User) > ipmiMaxUser:
		return nil, inventory.FieldErrorf("user", "IPMI knows users of at most %d characters", ipmiMaxUser)
	case len(password) > ipmiMaxPassword:
		return nil, inventory.FieldErrorf("password", "IPMI knows passwords of at most %d characters", ipmiMaxPassword)
	}
	return d, nil
}

func (d *ipmi) Status(ctx context.Context) (inventory.PowerState, error) {
	state := inventory.PowerUnknown
	err := d.with(ctx, func(c *client.Client) error {
		s, err := c.GetChassisStatus(ctx)
		if err != nil {
			return err
		}
		state = inventory.PowerOff
		if s.PowerIsOn {
			state = inventory.PowerOn
		}
		return nil
	})
	return state, err
}

func (d *ipmi) On(ctx context.Context) error {
	return d.control(ctx, chassis.ChassisControlPowerUp)
}

func (d *ipmi) Off(ctx context.Context) error {
	return d.control(ctx, chassis.ChassisControlPowerDown)
}

func (d *ipmi) Cycle(ctx context.Context) error {
	return d.control(ctx, chassis.ChassisControlPowerCycle)
}

// control sends a chassis control command (IPMI 2.0 §28.3). A repetition has
// the sequence number of the first, so that the controller acts once.
func (d *ipmi) control(ctx context.Context, what chassis.ChassisControl) error {
	return d.with(ctx, func(c *client.Client) error {
		_, err := c.ChassisControl(ctx, what)
		return err
	})
}

// with opens a session for fn.
func (d *ipmi) with(ctx context.Context, fn func(*client.Client) error) error {
	c, err := client.NewClient(d.host, d.port, d.user, d.password)
	if err != nil {
		return d.fault(err)
	}
	c.WithTimeout(d.wait).WithRetry(d.retries).WithCipherSuiteID(ipmiSuites...).WithMaxPrivilegeLevel(types.PrivilegeLevelOperator)
	if err = c.Connect(ctx); err == nil {
		err = fn(c)
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeLimit)
	defer cancel()
	_ = c.Close(closing) // the session ends by itself too
	return d.fault(err)
}

// fault says an error of the library in one sentence. The library joins the
// errors of the suites it tried as text, so text is what can be looked at.
func (d *ipmi) fault(err error) error {
	if err == nil {
		return nil
	}
	if r, ok := types.IsResponseError(err); ok {
		return inventory.Fail("the management controller %s refused (completion code %#02x)", d.host, uint8(r.CompletionCode()))
	}
	text := err.Error()
	says := func(of ...string) bool {
		for _, s := range of {
			if strings.Contains(text, s) {
				return true
			}
		}
		return false
	}
	var netErr net.Error
	switch {
	case says(client.ErrRAKPAuthentication.Error(), rakp(types.RmcpStatusCodeInvalidIntegrityCheckValue)):
		return inventory.Fail("the management controller %s does not take the password of user %q", d.host, d.user)
	case says(rakp(types.RmcpStatusCodeUnauthorizedName)):
		return inventory.Fail("the management controller %s has no user %q", d.host, d.user)
	case says(rakp(types.RmcpStatusCodeUnauthorizedRoleOfPriLevel)):
		return inventory.Fail("the management controller %s does not let user %q switch the power: it needs the privilege of an operator", d.host, d.user)
	case says(rakp(types.RmcpStatusCodeNoResToCreateSess), rakp(types.RmcpStatusCodeNoResToCreateSessAtRole)):
		return inventory.Fail("the management controller %s has no session free", d.host)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout(), says("deadline", "timed out", "no matching IPMI response"):
		return inventory.Fail("the management controller %s does not answer (IPMI, port %d)", d.host, d.port)
	case says("connection refused"):
		return inventory.Fail("nothing answers IPMI at %s, port %d", d.host, d.port)
	case says("resolve addr failed"):
		return inventory.Fail("the management controller %s cannot be found by name", d.host)
	default:
		return inventory.Fail("IPMI with %s: %s", d.host, strings.Join(strings.Fields(text), " "))
	}
}

// rakp is how the library says a status code of opening a session.
func rakp(code types.RmcpStatusCode) string { return types.NewRmcpStatusError(code).Error() }
