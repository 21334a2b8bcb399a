package storectl

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/search"
	"mailfleet/mailnode/store"
)

// Command is "store" with its commands.
func Command() *cobra.Command {
	c := &cobra.Command{Use: "store", Short: "Verify, repair, copy and move a mailnode's store"}
	for _, sub := range []*cobra.Command{
		verifyCommand(), repairCommand(), compactCommand(), statCommand(),
		exportCommand(), importCommand(), backupCommand(), restoreCommand(),
	} {
		sub.Args = cobra.NoArgs
		c.AddCommand(sub)
	}
	return c
}

func required(c *cobra.Command, value *string, name, usage string) {
	c.Flags().StringVar(value, name, "", usage)
	cobra.CheckErr(c.MarkFlagRequired(name))
}

const dirUsage = "directory of the mailnode, or of a store or backup"

// meter shows progress, at most twice a second.
type meter struct {
	w    io.Writer
	next time.Time
}

func meterOf(c *cobra.Command) *meter { return &meter{w: c.ErrOrStderr()} }

func (m *meter) show(part string, done, of uint64) {
	if now := time.Now(); now.After(m.next) {
		m.next = now.Add(500 * time.Millisecond)
		if of > 0 {
			_, _ = fmt.Fprintf(m.w, "%s: %d of %d\n", part, done, of) // progress only
		} else {
			_, _ = fmt.Fprintf(m.w, "%s: %d\n", part, done)
		}
	}
}

func verifyCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "verify",
		Short: "Read everything and name what is damaged, also while the mailnode runs",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			src, err := look(c.Context(), dir)
			if err != nil {
				return err
			}
			verdict, err := src.Verify(c.Context(), checkOf(c))
			if closed := src.close(); !verdict.Torn { // Pebble says again what was named
				err = errors.Join(err, closed)
			}
			return conclude(c, verdict, err)
		},
	}
	required(c, &dir, "dir", dirUsage)
	return c
}

func checkOf(c *cobra.Command) store.Check {
	return store.Check{
		Problem:  func(p store.Problem) { _, _ = fmt.Fprintln(c.OutOrStdout(), p) },
		Progress: meterOf(c).show,
	}
}

func conclude(c *cobra.Command, v store.Verdict, err error) error {
	if err != nil {
		return err
	}
	if v.Problems > 0 {
		return fmt.Errorf("%d problems; %d of %d messages cannot be read", v.Problems, v.Unreadable, v.Messages)
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "the store is whole: %d messages, %d bodies\n", v.Messages, v.Bodies)
	return err
}

func repairCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "repair",
		Short: "Make a damaged store whole; what cannot be kept goes to lost+found. The mailnode must not run",
		RunE: func(c *cobra.Command, _ []string) error {
			v, err := store.Repair(c.Context(), storePath(dir), store.Options{}, checkOf(c))
			return conclude(c, v, stopFirst(err))
		},
	}
	required(c, &dir, "dir", dirUsage)
	return c
}

// stopFirst says what to do when a store is in use.
func stopFirst(err error) error {
	if errors.Is(err, store.ErrInUse) {
		return fmt.Errorf("%w: stop the mailnode first", err)
	}
	return err
}

func compactCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "compact",
		Short: "Make the store as small as it can be, also while the mailnode runs",
		RunE: func(c *cobra.Command, _ []string) error {
			if n := dial(c.Context(), dir); n != nil {
				var answer string
				return n.post(c.Context(), "compact", nil, nil, 0, &answer)
			}
			s, err := store.Open(storePath(dir), store.Options{})
			if err != nil {
				return err
			}
			m := meterOf(c)
			err = s.Compact(c.Context(), func(done, of int) { m.show("parts", uint64(done), uint64(of)) })
			return errors.Join(err, s.Close())
		},
	}
	required(c, &dir, "dir", dirUsage)
	return c
}

// stats is what stat says.
type stats struct {
	store.Stats
	Texts search.Totals `json:"texts"` // the full-text index
}

func statCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "stat",
		Short: "Say how much the store and its full-text index hold, as JSON, also while the mailnode runs",
		RunE: func(c *cobra.Command, _ []string) error {
			src, err := look(c.Context(), dir)
			if err != nil {
				return err
			}
			var st stats
			st.Stats, err = src.Stats(c.Context())
			if err == nil {
				rows, messages := search.Stored(src.Store)
				st.Texts, err = search.New(rows, messages, slog.New(slog.DiscardHandler)).Totals(c.Context())
			}
			if err := errors.Join(err, src.close()); err != nil {
				return err
			}
			e := json.NewEncoder(c.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(st)
		},
	}
	required(c, &dir, "dir", dirUsage)
	return c
}

func exportCommand() *cobra.Command {
	var dir, config string
	var accounts []string
	ex := exporter{}
	c := &cobra.Command{
		Use:   "export",
		Short: "Write mailboxes as Maildir, mbox or .eml files, also while the mailnode runs; begun again, it goes on",
		RunE: func(c *cobra.Command, _ []string) error {
			src, err := look(c.Context(), dir)
			if err != nil {
				return err
			}
			ex.ctx, ex.src, ex.progress = c.Context(), src.Store, meterOf(c)
			ex.warn = func(text string) { _, _ = fmt.Fprintln(c.ErrOrStderr(), text) }
			err = ex.all(accounts, config)
			if closed := src.close(); ex.damaged == 0 {
				err = errors.Join(err, closed)
			}
			if err != nil {
				return err
			}
			if ex.damaged > 0 {
				return fmt.Errorf("%d messages are damaged and left out", ex.damaged)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d messages written, %d were there\n", ex.written, ex.there)
			return err
		},
	}
	required(c, &dir, "dir", dirUsage)
	required(c, &ex.to, "to", "directory to write to, one below it for each account")
	c.Flags().StringVar(&ex.format, "format", "maildir", "maildir, mbox or eml")
	c.Flags().StringSliceVar(&accounts, "account", nil, "account id, or address with --config; all when none is named")
	c.Flags().StringVar(&config, "config", "", "configuration file, to find accounts by their addresses")
	return c
}

// all exports the accounts named, or all.
func (ex *exporter) all(accounts []string, config string) error {
	for _, name := range accounts {
		id, err := accountOf(name, config)
		if err != nil {
			return err
		}
		if err := ex.account(id); err != nil {
			return err
		}
	}
	if len(accounts) > 0 {
		return nil
	}
	for id, err := range ex.src.Accounts(ex.ctx, "") {
		if err != nil {
			return err
		}
		if err := ex.account(id); err != nil {
			return err
		}
	}
	return nil
}

// accountOf is the id of an account that is named by id or address.
func accountOf(name, config string) (string, error) {
	if !strings.Contains(name, "@") {
		return name, nil
	}
	if config == "" {
		return "", errors.New("an account is found by its address only with --config")
	}
	c, err := api.LoadConfig(config)
	if err != nil {
		return "", err
	}
	for _, a := range c.Accounts {
		if strings.EqualFold(a.Address, name) {
			return a.ID, nil
		}
	}
	return "", fmt.Errorf("there is no account %s in %s", name, config)
}

func importCommand() *cobra.Command {
	var dir, config, account, format, from, mailbox string
	c := &cobra.Command{
		Use:   "import",
		Short: "Take messages from Maildirs or mbox files, also while the mailnode runs; begun again, it takes none twice",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			id, err := accountOf(account, config)
			if err != nil {
				return err
			}
			im := importer{ctx: c.Context(), account: id, progress: meterOf(c), node: dial(c.Context(), dir)}
			if im.node == nil {
				if im.store, err = store.Open(storePath(dir), store.Options{}); err != nil {
					return err
				}
				defer func() { err = errors.Join(err, im.store.Close()) }()
			}
			if _, err := os.Stat(from); err != nil {
				return err
			}
			switch format {
			case "maildir":
				err = im.maildirs(from)
			case "mbox":
				err = im.mboxes(from, mailbox)
			default:
				err = fmt.Errorf("%q is no format: there are maildir and mbox", format)
			}
			_, printed := fmt.Fprintf(c.OutOrStdout(), "%d messages taken, %d were there\n", im.taken, im.there)
			return errors.Join(err, printed)
		},
	}
	required(c, &dir, "dir", dirUsage)
	required(c, &account, "account", "account id, or address with --config")
	required(c, &from, "from", "Maildir, mbox file, or directory of mbox files")
	c.Flags().StringVar(&format, "format", "maildir", "maildir or mbox")
	c.Flags().StringVar(&mailbox, "mailbox", "", "mailbox for the messages of mbox files; that of a file's name when not given")
	c.Flags().StringVar(&config, "config", "", "configuration file, to find the account by its address")
	return c
}

func backupCommand() *cobra.Command {
	var dir, to string
	c := &cobra.Command{
		Use:   "backup",
		Short: "Copy the store, also while the mailnode runs; what the last backup has is not copied again",
		RunE: func(c *cobra.Command, _ []string) error {
			src, err := look(c.Context(), dir)
			if err != nil {
				return err
			}
			made, err := backup(c.Context(), src, to, meterOf(c))
			if err := errors.Join(err, src.close()); err != nil {
				return err
			}
			_, err = fmt.Fprintln(c.OutOrStdout(), made)
			return err
		},
	}
	required(c, &dir, "dir", dirUsage)
	required(c, &to, "to", "directory of backups; each is a directory below it, named by its time")
	return c
}

func restoreCommand() *cobra.Command {
	var dir, from string
	var replace bool
	c := &cobra.Command{
		Use:   "restore",
		Short: "Make a mailnode's store from a backup. The mailnode must not run",
		RunE: func(c *cobra.Command, _ []string) error {
			m, err := restore(c.Context(), from, dir, replace, meterOf(c))
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "restored: the store of %s, %d messages\n", m.Time.Format(time.RFC3339), m.Stats.Messages)
			return err
		},
	}
	required(c, &dir, "dir", "directory of the mailnode")
	required(c, &from, "from", "a backup, or a directory of backups, of which the newest is taken")
	c.Flags().BoolVar(&replace, "replace", false, "keep aside the store that is there")
	return c
}
