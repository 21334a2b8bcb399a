package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/agent/preflight"
	"mailfleet/agent/state"
	"mailfleet/agent/uplink"
	"mailfleet/inventory"
)

// outcome is the exit code of a doctor that has told what it found: 0, 1 when
// there are warnings, 2 when a check failed.
type outcome int

func (o outcome) Error() string { return fmt.Sprintf("exit code %d", int(o)) }

// examination is what doctor prints as JSON.
type examination struct {
	Checks  []inventory.Check    `json:"checks"`
	Worst   inventory.CheckState `json:"worst"`
	Changes []preflight.Change   `json:"changes,omitempty"`
}

func doctorCommand() *cobra.Command {
	var dir, root string
	var fixes []string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look whether this machine is fit for its work", Args: cobra.NoArgs,
		Long: "Makes the checks the agent makes once a day, and prints what to do. Nothing is\nchanged unless --fix names checks to mend.\n\nExit codes: 0 all is well, 1 there are warnings, 2 a check failed or the usage was wrong.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := filepath.Abs(dir)
			if err != nil {
				return err
			}
			machine := preflight.Machine{Root: root}
			facts := factsOf(cmd.Context(), dir)
			var found examination
			if len(fixes) > 0 {
				if found.Changes, err = (preflight.Tuner{Machine: machine}).Tune(cmd.Context(), facts, fixes); err != nil {
					return err
				}
			}
			found.Checks = preflight.Look(cmd.Context(), machine, facts)
			found.Worst = (&inventory.Preflight{Checks: found.Checks}).Worst()
			if err := found.print(cmd.OutOrStdout(), asJSON, len(fixes) > 0); err != nil {
				return err
			}
			if code := map[inventory.CheckState]outcome{inventory.CheckWarning: 1, inventory.CheckFailed: 2}[found.Worst]; code != 0 {
				return code
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", defaultDir, "directory of the agent")
	f.StringSliceVar(&fixes, "fix", nil, "checks to mend first")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	f.StringVar(&root, "root", "", "directory whose etc, proc and sys are looked at instead of the machine's")
	return cmd
}

// factsOf is what the files of an agent tell of its server; a machine that has
// not joined yet has none.
func factsOf(ctx context.Context, dir string) preflight.Facts {
	f := preflight.Facts{Dir: existing(dir), Ports: map[int]string{}}
	me, err := uplink.Joined(dir)
	if err != nil {
		return f
	}
	f.Name, f.Address = me.Name, me.Address
	if d, ok, err := state.LoadDesired(filepath.Join(dir, "desired.json")); err == nil && ok {
		for _, s := range d.Services {
			if s.Unit != "" {
				f.Units = append(f.Units, s.Unit)
			}
			for _, port := range s.Ports {
				if port != 0 {
					f.Ports[port] = s.Name
				}
			}
		}
	}
	f.Offset, f.OffsetBy = preflight.Offset(ctx, func(ctx context.Context) (time.Time, error) { return uplink.Clock(ctx, dir) })
	return f
}

// existing is the directory, or the nearest above it that is there already.
func existing(dir string) string {
	for dir != "/" {
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

// print prints what was found, as a table or JSON.
func (e examination) print(w io.Writer, asJSON, fixed bool) error {
	if asJSON {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(e)
	}
	for _, c := range e.Changes {
		if _, err := fmt.Fprintln(w, c); err != nil {
			return err
		}
	}
	if fixed && len(e.Changes) == 0 {
		if _, err := fmt.Fprintln(w, "Nothing had to be changed."); err != nil {
			return err
		}
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "CHECK\tSTATE\tFOUND\tWANTED") // Flush tells of errors
	for _, c := range e.Checks {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", c.Name, c.State, cmp.Or(c.Found, "-"), cmp.Or(c.Wanted, "-"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, c := range e.Checks {
		if c.Advice == "" || c.State == inventory.CheckSkipped {
			continue
		}
		hint := ""
		if c.Fixable {
			hint = " (--fix " + c.Name + " does it)"
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s%s", c.Name, c.Advice, hint); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%s.\n", preflight.Summary(e.Checks))
	return err
}
