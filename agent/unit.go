package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"mailfleet/agent/starter"
)

// unitCommand prints the systemd unit that starts the agent, or installs it.
func unitCommand() *cobra.Command {
	var dir, mailnode string
	var install, stop bool
	cmd := &cobra.Command{
		Use: "unit", Short: "Print the systemd unit that starts the agent", Args: cobra.NoArgs,
		Long: "Prints the systemd unit that starts this program as the agent, with the paths it has\nnow. With --install the unit is written to " + starter.Path + "\ninstead; then\n\n  systemctl daemon-reload\n  systemctl enable --now " + starter.Name + "\n\nstarts the agent now and with the machine. Stopping the unit stops the agent and leaves\nthe services running, unless --stop-services is given here.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			command, err := agentCommand(dir, mailnode)
			if err != nil {
				return err
			}
			if stop {
				command = append(command, "--stop-services")
			}
			unit, err := starter.Unit(command)
			if err != nil {
				return err
			}
			if !install {
				_, err = fmt.Fprint(cmd.OutOrStdout(), unit)
				return err
			}
			if err := os.WriteFile(starter.Path, []byte(unit), 0o644); err != nil { //nolint:gosec // units are read by everybody
				return fmt.Errorf("the unit cannot be written, which takes root and systemd: %w", err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "Written: %s. Start it with: systemctl daemon-reload && systemctl enable --now %s\n", starter.Path, starter.Name)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", defaultDir, "directory of the agent")
	f.StringVar(&mailnode, "mailnode", "mailfleet-mailnode", "the mailnode program")
	f.BoolVar(&install, "install", false, "write the unit where systemd finds it")
	f.BoolVar(&stop, "stop-services", false, "have the agent stop the services before it ends")
	return cmd
}

// agentCommand is how this program is run as the agent, in whole paths: systemd looks
// nothing up.
func agentCommand(dir, mailnode string) ([]string, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if mailnode, err = exec.LookPath(mailnode); err != nil {
		return nil, fmt.Errorf("%w: --mailnode: %w", errUsage, err)
	}
	if mailnode, err = filepath.Abs(mailnode); err != nil {
		return nil, err
	}
	return []string{program, "run", "--dir", dir, "--mailnode", mailnode}, nil
}
