// Command mailfleet-controller is the fleet's centre and its operators'
// command line: serve runs it, dev runs a small fleet on this machine, and the
// other commands ask a running controller.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"mailfleet/controller/app"
	"mailfleet/controller/backup"
	"mailfleet/controller/cli"
	"mailfleet/controller/dev"
	"mailfleet/inventory"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(cli.Execute(ctx, root()))
}

func root() *cobra.Command {
	root := &cobra.Command{
		Use:           "mailfleet-controller",
		Short:         "The centre of a mail fleet, and its operators' command line",
		Version:       inventory.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(serveCommand(), devCommand(), machineCommand(), configCommand(), backupCommand(), restoreCommand())
	root.AddCommand(cli.Commands()...)
	return root
}

// load reads the configuration; its errors are the user's to mend.
func load(file string) (app.Config, error) {
	if file == "" {
		return app.DefaultConfig().Validated()
	}
	c, err := app.LoadConfig(file)
	if err != nil {
		return c, cli.Usage(err)
	}
	return c, nil
}

func logger(level string) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // the configuration was checked
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l}))
}

func serveCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the controller", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := load(file)
			if err != nil {
				return err
			}
			a, err := app.New(cmd.Context(), config, logger(config.LogLevel), os.Stdout)
			if err != nil {
				return err
			}
			return a.Run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "configuration file (see: config describe)")
	return cmd
}

func configCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Describe or test the configuration"}
	describe := &cobra.Command{
		Use: "describe", Short: "Print every setting with its default and meaning", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return app.DescribeConfig(cmd.OutOrStdout()) },
	}
	test := &cobra.Command{
		Use: "test FILE", Short: "Say whether a configuration file is right", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, err := load(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: the configuration is right\n", args[0])
			return err
		},
	}
	cmd.AddCommand(describe, test)
	return cmd
}

func backupCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write everything the controller keeps into one file", Args: cobra.ExactArgs(1),
		Long: "Writes the inventory, the samples, the certificate authority, keys and releases of the\ncontroller on this machine into FILE. The controller may run meanwhile. Whoever reads\nFILE can speak for the fleet: keep it as you keep the keys.",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := load(file)
			if err != nil {
				return err
			}
			r, err := backup.Write(cmd.Context(), config.Dir, args[0], progress(cmd))
			if err != nil {
				return usable(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s holds %d files with %d MiB of %s\n", args[0], len(r.Files), r.Bytes>>20, config.Dir)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the controller's configuration file")
	return cmd
}

func restoreCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "restore FILE", Short: "Lay a backup out as the controller's directory, which must be empty", Args: cobra.ExactArgs(1),
		Long: "Checks the backup FILE and lays it out as the directory of the controller on this machine,\nwhich must be empty or not there. Start the controller afterwards: agents find it again when\nit has the address it had.",
		RunE: func(cmd *cobra.Command, args []string) error {
			config, err := load(file)
			if err != nil {
				return err
			}
			r, err := backup.Restore(cmd.Context(), args[0], config.Dir, progress(cmd))
			if err != nil {
				return usable(err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is as it was on %s: %d files\n", config.Dir, r.Made.Local().Format(time.DateTime), len(r.Files))
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "the controller's configuration file")
	return cmd
}

// progress names what is worked on, on a terminal only.
func progress(cmd *cobra.Command) func(string) {
	out, ok := cmd.ErrOrStderr().(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) {
		return func(string) {}
	}
	return func(name string) { _, _ = fmt.Fprintf(out, "\r\033[K%s", name) }
}

// usable marks what the user can mend as wrong usage.
func usable(err error) error {
	if code := inventory.CodeOf(err); code == inventory.Invalid || code == inventory.NotFound || code == inventory.Conflict {
		return cli.Usage(err)
	}
	return err
}

func machineCommand() *cobra.Command {
	var dir, name string
	var agents dev.AgentOptions
	cmd := &cobra.Command{
		Use: "dev-machine", Short: "Be the machine of one server of a dev fleet", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			err = dev.Machine(cmd.Context(), dir, filepath.Dir(self), name, agents, logger("info"))
			if errors.Is(err, dev.ErrAgentEnded) {
				os.Exit(1) // without a word: the agent's are the last in the log
			}
			return err
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory of the dev fleet")
	cmd.Flags().StringVar(&name, "name", "", "of the server")
	agentFlags(cmd.Flags(), &agents)
	return cmd
}

// agentFlags are those of the agents of a dev fleet.
func agentFlags(f *pflag.FlagSet, o *dev.AgentOptions) {
	f.DurationVar(&o.UpgradeLimit, "upgrade-limit", 0, "how long another build of an agent may take to reach the controller (default as for mailfleet-agent run)")
	f.DurationVar(&o.UpgradeGate, "upgrade-gate", 0, "how long another build of a service must be well (default as for mailfleet-agent run)")
}

func devCommand() *cobra.Command {
	o := dev.Options{Out: os.Stdout, Log: logger("info")}
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a small fleet on this machine", Args: cobra.NoArgs,
		Long: "Runs a controller and a few servers on loopback addresses, each as the separate\nprocess it is in production, with a domain example.test and users on it.\nWhat scripts need to know is in DIR/dev.json.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			self, err := os.Executable()
			if err != nil {
				return err
			}
			o.Bin = filepath.Dir(self)
			err = dev.Run(cmd.Context(), o)
			if errors.Is(err, dev.ErrUsage) {
				return cli.Usage(err)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.Dir, "dir", ".dev", "directory of everything it keeps")
	f.IntVar(&o.Servers, "servers", 3, "number of servers")
	f.StringVar(&o.Listen, "listen", "", "address of the console (default 127.0.0.1:8443; with another --base, port 8443 at its .254)")
	f.StringVar(&o.Base, "base", dev.DefaultBase, "loopback network of the servers")
	f.DurationVar(&o.Interval, "sample-interval", 10*time.Second, "time between samples")
	agentFlags(f, &o.Agents)
	f.BoolVar(&o.Reset, "reset", false, "forget the fleet that was there")
	return cmd
}
