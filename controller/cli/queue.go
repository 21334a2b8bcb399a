package cli

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// queueFlags fill a filter for queued mail.
func queueFlags(f *pflag.FlagSet, to *inventory.QueueFilter) {
	f.StringVar(&to.Destination, "destination", "", "for this domain")
	f.StringVar(&to.Sender, "sender", "", "from this address, @domain or account id")
	f.StringVar(&to.Recipient, "recipient", "", "for an address with this in it")
	f.StringVar((*string)(&to.State), "in-state", "", "held, future, active or waiting")
	f.StringVar(&to.Last, "last", "", "whose last attempt ended with this in the reply")
	f.StringVar(&to.Message, "message", "", "of this id, as in Received fields")
	f.StringSliceVar(&to.IDs, "entry", nil, "these entries")
	f.DurationVar((*time.Duration)(&to.Older), "older", 0, "waiting at least so long")
	f.DurationVar((*time.Duration)(&to.Younger), "younger", 0, "waiting at most so long")
}

var queueColumns = []column[api.QueuedMail]{
	{"SERVER", func(v api.QueuedMail) string { return v.Server }},
	{"FROM", func(v api.QueuedMail) string { return v.From }},
	{"TO", func(v api.QueuedMail) string { return firstOf(v.Recipients) }},
	{"SIZE", func(v api.QueuedMail) string { return number(v.Size) }},
	{"STATE", func(v api.QueuedMail) string { return string(v.State) }},
	{"SINCE", func(v api.QueuedMail) string { return moment(v.Received) }},
	{"NEXT", func(v api.QueuedMail) string { return moment(v.Next) }},
	{"LAST REPLY", func(v api.QueuedMail) string { return v.Last }},
	{"ENTRY", func(v api.QueuedMail) string { return v.Entry }},
}

// firstOf names the first of many, and how many more there are: -o json has them all.
func firstOf(list []string) string {
	if len(list) <= 1 {
		return strings.Join(list, "")
	}
	return fmt.Sprintf("%s +%d", list[0], len(list)-1)
}

var destinationColumns = []column[inventory.QueueDestination]{
	{"DESTINATION", func(v inventory.QueueDestination) string { return v.Name }},
	{"ENTRIES", func(v inventory.QueueDestination) string { return number(v.Entries) }},
	{"RECIPIENTS", func(v inventory.QueueDestination) string { return number(v.Recipients) }},
	{"BYTES", func(v inventory.QueueDestination) string { return number(v.Bytes) }},
	{"OLDEST", func(v inventory.QueueDestination) string { return moment(v.Oldest) }},
	{"RESTS TILL", func(v inventory.QueueDestination) string { return moment(v.Rests) }},
	{"LAST REPLY", func(v inventory.QueueDestination) string { return v.Last }},
}

func (s *settings) queueCommand() *cobra.Command {
	return parent("queue", "Mail that waits to be delivered", s.listQueueCommand(), s.sumQueueCommand(),
		s.onQueue("hold", "Keep queued mail from being tried", inventory.OpQueueHold, s.operate),
		s.onQueue("release", "Take a hold back", inventory.OpQueueRelease, s.operate),
		s.onQueue("retry", "Try queued mail now", inventory.OpQueueRetry, s.operate),
		s.onQueue("delete", "Take mail out of the queue", inventory.OpQueueDelete, s.operate),
		s.onQueue("reroute", "Send queued mail to another host, or without --host to where it goes by itself", inventory.OpQueueReroute, s.operate),
		s.exportQueueCommand())
}

func (s *settings) listQueueCommand() *cobra.Command {
	var filter inventory.QueueFilter
	cmd := s.ask("list [SERVER...]", "List queued mail, of all servers when none is named", cobra.ArbitraryArgs, func(cmd *cobra.Command, c *api.Client, servers []string) error {
		var all []api.QueuedMail
		var silent error
		for cursor := ""; ; {
			page, err := c.Queue(cmd.Context(), filter, servers, cursor)
			if err != nil {
				return err
			}
			all = append(all, page.Items...)
			silent = unanswered(page.Partial, page.Silent)
			if cursor = page.Next; cursor == "" {
				break
			}
		}
		return errors.Join(show(s, cmd.OutOrStdout(), all, queueColumns), silent)
	})
	queueFlags(cmd.Flags(), &filter)
	return cmd
}

func (s *settings) sumQueueCommand() *cobra.Command {
	var filter inventory.QueueFilter
	cmd := s.ask("summary [SERVER...]", "Sum queued mail up by destination", cobra.ArbitraryArgs, func(cmd *cobra.Command, c *api.Client, servers []string) error {
		sum, err := c.QueueSummary(cmd.Context(), filter, servers)
		if err != nil {
			return err
		}
		return errors.Join(show(s, cmd.OutOrStdout(), sum.Destinations, destinationColumns), unanswered(sum.Partial, sum.Silent))
	})
	queueFlags(cmd.Flags(), &filter)
	return cmd
}

// onQueue is a command that does something with the queued mail of servers, once the
// operation is as the flags say.
func (s *settings) onQueue(verb, short string, kind inventory.OperationKind, do func(*cobra.Command, *api.Client, *act) error) *cobra.Command {
	order, route, everything := &inventory.QueueOrder{}, &inventory.Route{}, false
	a := &act{in: api.NewOperation{Kind: kind, Params: api.NewParams{Queue: order}}}
	cmd := s.ask(verb+" [SERVER...]", short, cobra.ArbitraryArgs, func(cmd *cobra.Command, c *api.Client, args []string) error {
		for _, name := range args {
			a.in.Targets = append(a.in.Targets, api.NewTarget{Server: name})
		}
		switch {
		case len(args) == 0 && a.in.Selector == "":
			return usagef("name servers, or give --selector")
		case order.Filter.All() && !everything:
			return usagef("say which mail is meant, or --everything")
		case *route != inventory.Route{}:
			order.Route = route
		}
		return do(cmd, c, a)
	})
	cmd.ValidArgsFunction = s.completeServers
	a.flags(cmd.Flags())
	queueFlags(cmd.Flags(), &order.Filter)
	cmd.Flags().StringVarP(&a.in.Selector, "selector", "l", "", "servers by terms that must all hold, such as region=hk")
	cmd.Flags().BoolVar(&everything, "everything", false, "all that is in the queue")
	switch kind {
	case inventory.OpQueueDelete:
		cmd.Flags().BoolVar(&order.Report, "report", false, "tell the senders")
	case inventory.OpQueueReroute:
		cmd.Flags().StringVar(&route.Host, "host", "", "name or IP address")
		cmd.Flags().IntVar(&route.Port, "port", 0, "default 587")
		cmd.Flags().StringVar(&route.TLS, "tls", "", "opportunistic, required or implicit")
	}
	return cmd
}

var ledgerColumns = []column[api.LedgerEntry]{
	{"DAY", func(v api.LedgerEntry) string { return v.Day }},
	{"DOMAIN", func(v api.LedgerEntry) string { return v.Domain }},
	{"ACCOUNT", func(v api.LedgerEntry) string { return v.Address }},
	{"IN", func(v api.LedgerEntry) string { return number(v.In) }},
	{"BYTES IN", func(v api.LedgerEntry) string { return number(v.InBytes) }},
	{"OUT", func(v api.LedgerEntry) string { return number(v.Out) }},
	{"BYTES OUT", func(v api.LedgerEntry) string { return number(v.OutBytes) }},
	{"FAILED", func(v api.LedgerEntry) string { return number(v.Failed) }},
}

func (s *settings) ledgerCommand() *cobra.Command {
	var q api.LedgerQuery
	days := 30
	cmd := s.ask("ledger", "What was sent and got", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
		if days < 1 || days > inventory.MaxLedgerDays {
			return usagef("--days must be between 1 and %s", strconv.Itoa(inventory.MaxLedgerDays))
		}
		q.To = time.Now().UTC()
		q.From = q.To.AddDate(0, 0, 1-days)
		ledger, err := c.Ledger(cmd.Context(), q)
		if err != nil {
			return err
		}
		return errors.Join(show(s, cmd.OutOrStdout(), ledger.Items, ledgerColumns), unanswered(ledger.Partial, ledger.Silent))
	})
	cmd.Flags().StringSliceVar(&q.By, "by", nil, "day, domain and account (default: day and domain)")
	cmd.Flags().StringVar(&q.Domain, "domain", "", "of this domain")
	cmd.Flags().StringVar(&q.Account, "account", "", "of this account")
	cmd.Flags().IntVar(&days, "days", days, "up to today")
	return cmd
}
