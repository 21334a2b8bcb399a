// Command mailfleet-mailnode is a mail server of the fleet: it receives mail by
// SMTP for the accounts of its configuration, keeps it, and lets its users read it
// by POP3 and IMAP. The agent runs it; nobody imports it.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
	"mailfleet/mailnode/app"
	"mailfleet/mailnode/storectl"
)

// Exit codes.
const (
	failed    = 1
	badConfig = 2
)

func main() {
	err := command().Execute()
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "mailfleet-mailnode:", err)
	if _, ok := errors.AsType[*api.ConfigError](err); ok {
		os.Exit(badConfig)
	}
	os.Exit(failed)
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "mailfleet-mailnode",
		Short:         "A mail server of the fleet",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	config := &cobra.Command{Use: "config", Short: "Explain or check a configuration file"}
	config.AddCommand(describeCommand(), testCommand())
	root.AddCommand(runCommand(), config, storectl.Command(), versionCommand())
	return root
}

func runCommand() *cobra.Command {
	var o app.Options
	c := &cobra.Command{
		Use:   "run",
		Short: "Run the mail server until SIGTERM or SIGINT; SIGHUP reads the configuration again",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			o.Version = inventory.Version
			o.Logger = slog.New(slog.NewTextHandler(c.ErrOrStderr(), nil))
			return run(c.Context(), o)
		},
	}
	requireConfig(c, &o.ConfigFile)
	c.Flags().StringVar(&o.Dir, "dir", "", "directory in which everything is kept")
	cobra.CheckErr(c.MarkFlagRequired("dir"))
	return c
}

// run runs the mailnode and passes signals on to it.
func run(ctx context.Context, o app.Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	node, err := app.New(o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	for {
		select {
		case err := <-ended:
			return err
		case <-hangups:
			_, _ = node.Reload(ctx) // it logs its outcome
		}
	}
}

func describeCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "describe",
		Short: "Print an example with every key explained",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return api.Describe(c.OutOrStdout()) },
	}
}

func testCommand() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:   "test",
		Short: "Say whether a configuration file can be used",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			config, err := api.LoadConfig(file)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%s is good: index %d, %d listeners, %d accounts\n",
				file, config.Index, len(config.Listeners), len(config.Accounts))
			return err
		},
	}
	requireConfig(c, &file)
	return c
}

func requireConfig(c *cobra.Command, file *string) {
	c.Flags().StringVar(file, "config", "", "configuration file")
	cobra.CheckErr(c.MarkFlagRequired("config"))
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(c.OutOrStdout(), inventory.Version)
			return err
		},
	}
}
