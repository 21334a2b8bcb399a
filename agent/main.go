// Command mailfleet-agent runs on every server of a fleet: it joins the fleet
// once, then samples the server, supervises its services and carries out what
// the controller asks.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"mailfleet/agent/app"
	"mailfleet/agent/handover"
	"mailfleet/agent/releases"
	"mailfleet/agent/slack"
	"mailfleet/agent/steward"
	"mailfleet/agent/supervise"
	"mailfleet/agent/uplink"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// defaultDir is where an agent keeps its things.
const defaultDir = "/var/lib/mailfleet-agent"

// errUsage is wrapped by errors the user must mend.
var errUsage = errors.New("usage")

func main() {
	if len(os.Args) > 1 && os.Args[1] == supervise.LaunchCommand {
		os.Exit(supervise.Launch(os.Args[2:])) // this process is to become a service
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1) // it wakes often and briefly, and leaves the machine to the mail
	}
	_ = slack.Widen() // without it, it only costs more
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := rootCommand().ExecuteContext(ctx); err != nil {
		if state, ok := errors.AsType[outcome](err); ok {
			os.Exit(int(state))
		}
		fmt.Fprintln(os.Stderr, "mailfleet-agent:", err)
		if errors.Is(err, errUsage) {
			os.Exit(2)
		}
		os.Exit(1)
	}
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use: "mailfleet-agent", Short: "The fleet's hand on one server", Version: inventory.Version,
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %w", errUsage, err) })
	root.AddCommand(joinCommand(), runCommand(), trustCommand(), doctorCommand(), unitCommand())
	return root
}

func joinCommand() *cobra.Command {
	var dir, controller, token, name string
	cmd := &cobra.Command{
		Use: "join", Short: "Make this machine a server of a fleet", Args: cobra.NoArgs,
		Long: "Trades a one-time join token (server add prints it) for this server's identity.\nThe token may be given in the environment as MAILFLEET_JOIN_TOKEN instead, where\nother users of this machine cannot see it.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if token == "" {
				token = os.Getenv("MAILFLEET_JOIN_TOKEN")
			}
			if controller == "" || token == "" {
				return fmt.Errorf("%w: --controller and --token are needed", errUsage)
			}
			me, err := uplink.Join(cmd.Context(), dir, controller, token, name)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "This is now server %[1]s of the fleet at %[2]s. Have systemd start it (mailfleet-agent unit --install --dir %[3]s), or run mailfleet-agent run --dir %[3]s\n", me.Name, controller, dir)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", defaultDir, "directory of the agent")
	f.StringVar(&controller, "controller", "", "URL of the controller, https://host:port")
	f.StringVar(&token, "token", "", "join token")
	f.StringVar(&name, "name", "", "refuse to join as any other server than this")
	return cmd
}

func trustCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use: "trust FILE", Short: "Trust the release keys in FILE", Args: cobra.ExactArgs(1),
		Long: "Makes the list of release keys in FILE (release trust writes one) the one that this\nserver's agent trusts, whatever it trusted before. Every program that is signed with one\nof the keys can be run here by who runs the controller: get FILE from its maker, not\nfrom the controller. The agent may run meanwhile.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := uplink.Joined(dir); err != nil {
				return err
			}
			text, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("%w: %w", errUsage, err)
			}
			chain, err := release.Parse(text)
			if err != nil {
				return fmt.Errorf("%w: %s: %w", errUsage, args[0], err)
			}
			if err := releases.Pin(dir, chain); err != nil {
				return err
			}
			for _, key := range chain.Keys() {
				if _, err := fmt.Fprintln(cmd.OutOrStdout(), "trusted:", key); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultDir, "directory of the agent")
	return cmd
}

func runCommand() *cobra.Command {
	o := app.Options{UpgradeGate: steward.DefaultGate}
	debug := false
	limit := handover.DefaultLimit
	cmd := &cobra.Command{
		Use: "run", Short: "Run the agent", Args: cobra.NoArgs,
		Long: "Runs the agent until SIGTERM or SIGINT. The services it supervises go on without\nit, and the next agent takes them over.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			level := slog.LevelInfo
			if debug {
				level = slog.LevelDebug
			}
			o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
			var err error
			if o.Dir, err = filepath.Abs(o.Dir); err != nil {
				return err
			}
			if o.Mailnode, err = exec.LookPath(o.Mailnode); err != nil {
				return fmt.Errorf("%w: --mailnode: %w", errUsage, err)
			}
			if o.Mailnode, err = filepath.Abs(o.Mailnode); err != nil {
				return err
			}
			if o.Handover, err = handover.Begin(o.Dir, o.Log); err != nil {
				return err
			}
			a, err := app.New(o)
			if err != nil {
				return err
			}
			if err := a.Run(cmd.Context()); err != nil || !o.Handover.Pending() || cmd.Context().Err() != nil {
				return err
			}
			return o.Handover.Carry(cmd.Context(), limit)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", defaultDir, "directory of the agent")
	f.StringVar(&o.Mailnode, "mailnode", "mailfleet-mailnode", "the mailnode program")
	f.BoolVar(&o.StopServices, "stop-services", false, "stop the services before ending, as in a container")
	f.DurationVar(&limit, "upgrade-limit", limit, "how long another build of the agent may take to reach the controller before this one goes on")
	f.DurationVar(&o.UpgradeGate, "upgrade-gate", o.UpgradeGate, "how long another build of a service must be well before the one before it is given up")
	f.BoolVar(&debug, "debug", false, "log more")
	f.StringVar(&o.Machines, "dev-machines", "", "directory of the dev fleet's machines, on which reboot and power act instead of this one")
	_ = f.MarkHidden("dev-machines")
	return cmd
}
