package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// exportQueueCommand fetches queued mail as one archive.
func (s *settings) exportQueueCommand() *cobra.Command {
	file, force := "", false
	cmd := s.onQueue("export", "Fetch queued mail as a ZIP archive of .eml files, with messages.jsonl that lists its entries", inventory.OpQueueExport,
		func(cmd *cobra.Command, c *api.Client, a *act) error {
			if file == "" && !a.preview {
				return usagef("say where to: --to FILE")
			}
			if _, err := os.Lstat(file); err == nil && !force && !a.preview {
				return usagef("%s exists already: name another file, or --force", file)
			}
			return s.export(cmd, c, a, file)
		})
	cmd.Example = `  mailfleet-controller queue export mail-1 mail-2 --destination example.org --older 1h --to stuck.zip
  mailfleet-controller queue export -l region=hk --everything --to all.zip --reason "ticket 4711"`
	cmd.Flags().StringVar(&file, "to", "", "file to write; it appears when it is whole")
	cmd.Flags().BoolVar(&force, "force", false, "replace the file")
	_ = cmd.MarkFlagFilename("to", "zip")
	return cmd
}

// export has an operation made, says how much it takes and fetches it.
func (s *settings) export(cmd *cobra.Command, c *api.Client, a *act, file string) (err error) {
	if a.preview {
		return s.operate(cmd, c, a)
	}
	in := a.request(cmd.Flags())
	impact, err := c.PreviewOperation(cmd.Context(), in)
	if err != nil {
		return err
	}
	op, err := c.CreateOperation(cmd.Context(), string(inventory.NewID()), in)
	if err != nil {
		return err
	}
	if op.Approval != nil {
		return usagef("operation %s waits for a second person's approval; fetch it then from the console", op.ID)
	}
	cmd.PrintErrf("%s entries of the queue go to %s (operation %s)\n", known(impact.Queued), file, op.ID)
	if err := s.fetch(cmd, c, op.ID, file); err != nil {
		// The program may be ending because it was interrupted.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 10*time.Second)
		defer cancel()
		_, _ = c.CancelOperation(ctx, op.ID) // it may have ended by itself
		return fmt.Errorf("nothing was kept: %w", err)
	}
	op, err = c.WaitOperation(cmd.Context(), op.ID)
	if err != nil {
		return err
	}
	return s.follow(cmd, c, op, true)
}

// fetch writes an archive to a file that has its name when it is whole.
func (s *settings) fetch(cmd *cobra.Command, c *api.Client, id inventory.ID, file string) (err error) {
	archive, err := c.ExportQueue(cmd.Context(), id)
	if err != nil {
		return err
	}
	defer func() { _ = archive.Close() }()
	part := file + ".part"
	out, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) // it is other people's mail
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			if gone := os.Remove(part); !errors.Is(gone, fs.ErrNotExist) {
				err = errors.Join(err, gone)
			}
		}
	}()
	_, err = io.Copy(out, archive)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return os.Rename(part, file)
}
