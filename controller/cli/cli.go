// Package cli is the operators' command line: each command is a few calls of
// the controller's API and a table. It reaches the controller through package
// api alone; only the controller's main imports it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
)

// Exit codes of the program.
const (
	exitOK          = 0
	exitFailed      = 1 // the controller refused, or what was asked for failed
	exitUsage       = 2 // bad usage or bad input
	exitUnreachable = 3 // the controller cannot be reached, or does not know who asks
)

const exitHelp = `
Exit codes: 0 done, 1 failed or refused, 2 wrong usage or input, 3 controller not reachable or not signed in.`

// Commands are the operators' commands, for the program's root.
func Commands() []*cobra.Command {
	s := &settings{}
	commands := []*cobra.Command{
		s.statusCommand(), s.serverCommand(), s.powerCommand(), s.preflightCommand(), s.serviceCommand(), s.poolCommand(), s.windowCommand(),
		s.operationCommand(), s.releaseCommand(), s.sampleCommand(), s.ruleCommand(), s.contactCommand(), s.alertCommand(), s.smsCommand(),
		s.domainCommand(), s.accountCommand(), s.aliasCommand(), s.forwardCommand(), s.groupCommand(), s.routeCommand(), s.hookCommand(), s.dkimCommand(), s.queueCommand(), s.ledgerCommand(), s.sessionCommand(), s.personCommand(), s.tenantCommand(), s.planCommand(), s.policyCommand(),
		s.tokenCommand(), s.auditCommand(), s.apiCommand(), s.contextCommand(),
	}
	for _, c := range commands {
		s.flags(c)
	}
	return commands
}

// Execute runs the program's command line and returns its exit code. Errors
// are told in one line on the command's standard error.
func Execute(ctx context.Context, root *cobra.Command) int {
	strict(root)
	err := root.ExecuteContext(ctx)
	if err != nil {
		_, _ = fmt.Fprintf(root.ErrOrStderr(), "%s: %s\n", root.Name(), err) // nowhere to tell if this fails
	}
	return exitCode(err)
}

// strict makes wrong usage an error everywhere: cobra lets some of it pass and
// does not mark the rest.
func strict(c *cobra.Command) {
	c.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return Usage(err) })
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if err := args(c, given); err != nil {
				return Usage(fmt.Errorf("%s: %w (usage: %s)", c.CommandPath(), err, c.UseLine()))
			}
			return nil
		}
	}
	if c.HasSubCommands() && !c.Runnable() {
		c.Args = func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				return Usage(fmt.Errorf("%s has no command %q", c.CommandPath(), given[0]))
			}
			return nil
		}
		c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	}
	for _, sub := range c.Commands() {
		strict(sub)
	}
}

// usageError is the user's to mend.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usage marks an error as wrong usage or input: exit code 2.
func Usage(err error) error { return usageError{err} }

func usagef(format string, args ...any) error { return Usage(fmt.Errorf(format, args...)) }

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		switch p.Status {
		case http.StatusBadRequest, http.StatusUnprocessableEntity:
			return exitUsage
		case http.StatusUnauthorized, http.StatusForbidden:
			return exitUnreachable
		}
		return exitFailed
	}
	if _, ok := errors.AsType[*url.Error](err); ok && !errors.Is(err, context.Canceled) {
		return exitUnreachable
	}
	return exitFailed
}
