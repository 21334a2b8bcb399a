package supervise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"mailfleet/inventory"
)

// DefaultStopGrace is how long a service has to stop before it is killed.
const DefaultStopGrace = inventory.DefaultStopGrace

// Spec is a service and its wanted state.
type Spec struct {
	Name    string
	Want    inventory.Want
	Unit    string            // a systemd unit; what is said of a command below is nothing to it
	Command []string          // program (a path, or a name looked for in the agent's PATH) and arguments
	Env     map[string]string // added to PATH and LANG, which is all it has otherwise
	Dir     string            // working directory; "": the root
	User    string            // "": the agent's
	Limits  inventory.ProcessLimits
	After   []string // services that must be ready before it is started; those not there are passed over
	Stop    string   // signal that asks it to stop; "": TERM
	Reload  string   // signal that has it read its configuration again; "": HUP

	// Ready returns nil once the service does its work; it is asked again and
	// again after a start, with a context it must heed. A service that does not
	// get ready in 30 s failed to start. nil: it is ready when it has lived for
	// half a second.
	Ready     func(context.Context) error
	StopGrace time.Duration // 0: DefaultStopGrace

	// While it runs it is asked how it is: by Health, which also tells the
	// version of the running program, and as Probe says. Neither: alive is well.
	Health func(context.Context) (program string, err error)
	Probe  *inventory.Probe
	// Reloader has the service read its configuration again; nil: the signal does.
	Reloader func(context.Context) error
}

func (s Spec) validate() error {
	if err := inventory.CheckName("name", s.Name); err != nil {
		return err
	}
	kind := inventory.KindCommand
	if s.Unit != "" {
		kind = inventory.KindUnit
	}
	err := inventory.ServiceConfig{
		Command: s.Command, Unit: s.Unit, Env: s.Env, Dir: s.Dir, User: s.User, Limits: s.Limits, Probe: s.Probe,
		After: s.After, StopSignal: s.Stop, StopGrace: inventory.Duration(s.StopGrace), Reload: s.Reload,
	}.Check(kind)
	if e, ok := errors.AsType[*inventory.Error](err); ok {
		return inventory.FieldErrorf(e.Field, "service %s: %s", s.Name, e.Message)
	}
	return err
}

// hash tells specs apart that start different processes.
func (s Spec) hash() string {
	parts := []any{s.Command, s.Env, s.Dir}
	if s.User != "" || s.Limits != (inventory.ProcessLimits{}) { // absent before there were any
		parts = append(parts, s.User, s.Limits)
	}
	b, err := json.Marshal(parts)
	if err != nil {
		panic(fmt.Sprintf("supervise: %v", err)) // strings, numbers, maps and lists of them always encode
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

// sameHealth reports whether both are asked how they are in the same way.
func (s Spec) sameHealth(o Spec) bool {
	return (s.Health == nil) == (o.Health == nil) && reflect.DeepEqual(s.Probe, o.Probe)
}

// asked reports whether the service is asked how it is.
func (s Spec) asked() bool { return s.Health != nil || s.Probe != nil }
