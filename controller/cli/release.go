package cli

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/inventory"
	"mailfleet/inventory/release"
)

// signedSuffix is added to a program's file for the one with its signature.
const signedSuffix = ".release"

var releaseColumns = []column[inventory.Release]{
	{"PROGRAM", func(v inventory.Release) string { return v.Program }},
	{"VERSION", func(v inventory.Release) string { return v.Number }},
	{"PLATFORM", func(v inventory.Release) string { return v.Platform }},
	{"SIZE", func(v inventory.Release) string { return number(v.Size) }},
	{"PUBLISHED", func(v inventory.Release) string { return moment(v.Created) }},
	{"BY", func(v inventory.Release) string { return v.Actor }},
	{"ID", func(v inventory.Release) string { return string(v.ID) }},
}

var releaseDetails = append(releaseColumns[:len(releaseColumns):len(releaseColumns)], []column[inventory.Release]{
	{"SHA-256", func(v inventory.Release) string { return v.SHA256 }},
	{"SIGNED WITH", func(v inventory.Release) string { return v.Key }},
}...)

func (s *settings) releaseCommand() *cobra.Command {
	return parent("release", "Signed builds of programs, and the keys that sign them",
		list(s, "List releases", api.Releases, releaseColumns, [2]string{"program", "of these programs"}),
		s.ask("show RELEASE", "Show a release", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
			r, err := c.Release(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), r, releaseDetails)
		}),
		s.publishCommand(),
		s.remove("remove RELEASE...", "Remove releases that nothing needs, by id", func(cmd *cobra.Command, c *api.Client, ref string) error {
			return c.RemoveRelease(cmd.Context(), ref, 0)
		}),
		s.ask("keys", "Show the keys whose releases the controller takes", cobra.NoArgs, func(cmd *cobra.Command, c *api.Client, _ []string) error {
			keys, err := c.ReleaseKeys(cmd.Context())
			if err != nil {
				return err
			}
			return showOne(s, cmd.OutOrStdout(), keys, []column[api.TrustedKeys]{
				{"LIST", func(v api.TrustedKeys) string { return number(v.Serial) }},
				{"KEYS", func(v api.TrustedKeys) string { return strings.Join(v.Keys, " ") }},
			})
		}),
		keygenCommand(), trustCommand(), signCommand(),
	)
}

func keygenCommand() *cobra.Command {
	return &cobra.Command{
		Use: "keygen FILE", Short: "Make a release key; keep it off the controller", Args: cobra.ExactArgs(1),
		Long: "Makes an ed25519 key that signs releases, writes it to FILE and prints its public half.\nWho has FILE can have any program run on every server that trusts it: keep it on no\nserver and not on the controller.",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := release.NewKey()
			if err != nil {
				return err
			}
			text, err := release.KeyPEM(key)
			if err != nil {
				return err
			}
			if err := writeNew(args[0], text, 0o600); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), release.Public(key))
			return err
		},
	}
}

func trustCommand() *cobra.Command {
	var keyFile, after string
	cmd := &cobra.Command{
		Use: "trust OUT [PUBLIC...]", Short: "Write a list of the keys to trust, signed", Args: cobra.MinimumNArgs(1),
		Long: "Writes a list of trusted keys to OUT: the public halves named, or that of --key alone.\nWithout --after it is a first list. With --after LIST it is the next one, for those who\ntrust LIST, and --key must be a key of that.\n\nOUT goes into the controller's directory as release.keys. Agents that join from then on\ntrust it, and so do agents that trust LIST. Others are told on the server itself:\nmailfleet-agent trust OUT.",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := readKey(keyFile)
			if err != nil {
				return err
			}
			var chain release.Chain
			if after != "" {
				text, err := os.ReadFile(after)
				if err != nil {
					return Usage(err)
				}
				if chain, err = release.Parse(text); err != nil {
					return Usage(fmt.Errorf("%s: %w", after, err))
				}
			}
			keys := args[1:]
			if len(keys) == 0 {
				keys = []string{release.Public(key)}
			}
			if chain, err = chain.Append(key, keys...); err != nil {
				return Usage(err)
			}
			text, err := chain.Text()
			if err != nil {
				return err
			}
			return writeNew(args[0], text, 0o644)
		},
	}
	cmd.Flags().StringVar(&keyFile, "key", "", "file of the key that signs the list")
	cmd.Flags().StringVar(&after, "after", "", "file of the list that is trusted so far")
	return cmd
}

func signCommand() *cobra.Command {
	var keyFile string
	r := inventory.Release{}
	cmd := &cobra.Command{
		Use: "sign FILE", Short: "Sign a program's build", Args: cobra.ExactArgs(1),
		Long: "Signs the program in FILE and writes the signature to FILE" + signedSuffix + ". It needs no controller.",
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := readKey(keyFile)
			if err != nil {
				return err
			}
			switch r.Program {
			case "agent":
				r.Program = inventory.ProgramAgent
			case "mailnode":
				r.Program = inventory.ProgramMailnode
			}
			if r.Size, r.SHA256, err = digest(args[0]); err != nil {
				return Usage(err)
			}
			if err := release.Sign(&r, key); err != nil {
				return Usage(err)
			}
			text, err := json.MarshalIndent(signature{r.Program, r.Number, r.Platform, r.Size, r.SHA256, r.Key, r.Signature}, "", "  ")
			if err != nil {
				return err
			}
			if err := os.WriteFile(args[0]+signedSuffix, append(text, '\n'), 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "signed as %s: %s\n", r.Title(), args[0]+signedSuffix)
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&keyFile, "key", "", "file of the release key")
	f.StringVar(&r.Program, "program", "", "agent, mailnode, or the name of a service of the site's own")
	f.StringVar(&r.Number, "version", "", "as the program prints it")
	f.StringVar(&r.Platform, "platform", runtime.GOOS+"/"+runtime.GOARCH, "what it runs on")
	return cmd
}

// signature is what a build's signature file holds.
type signature struct {
	Program   string `json:"program"`
	Number    string `json:"number"`
	Platform  string `json:"platform"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Key       string `json:"key"`
	Signature []byte `json:"signature"`
}

func (s *settings) publishCommand() *cobra.Command {
	return s.ask("publish FILE", "Hand a signed build to the controller", cobra.ExactArgs(1), func(cmd *cobra.Command, c *api.Client, args []string) error {
		text, err := os.ReadFile(args[0] + signedSuffix)
		if errors.Is(err, fs.ErrNotExist) {
			return usagef("%s is not signed: there is no %s%s (see: release sign)", args[0], args[0], signedSuffix)
		}
		if err != nil {
			return err
		}
		var sig signature
		if err := json.Unmarshal(text, &sig); err != nil {
			return usagef("%s%s is not a signature: %w", args[0], signedSuffix, err)
		}
		r := inventory.Release{
			Program: sig.Program, Number: sig.Number, Platform: sig.Platform, Size: sig.Size, SHA256: sig.SHA256, Key: sig.Key, Signature: sig.Signature,
		}
		size, sum, err := digest(args[0])
		if err != nil {
			return Usage(err)
		}
		if size != r.Size || sum != r.SHA256 {
			return usagef("%s has changed since it was signed", args[0])
		}
		f, err := os.Open(args[0])
		if err != nil {
			return Usage(err)
		}
		defer func() { _ = f.Close() }() // it was only read
		if r, err = c.PublishRelease(cmd.Context(), r, f); err != nil {
			return err
		}
		return showOne(s, cmd.OutOrStdout(), r, releaseDetails)
	})
}

// releaseID finds a release by its id, or by its version when only one release
// of the program has it.
func releaseID(ctx context.Context, c *api.Client, kind inventory.OperationKind, ref string) (string, error) {
	if _, err := inventory.ParseID(ref); err == nil || ref == "" {
		return ref, nil
	}
	var found []inventory.Release
	for r, err := range api.Releases.All(ctx, c, nil) {
		if err != nil {
			return "", err
		}
		if r.Number == ref && (kind == inventory.OpAgentUpgrade) == (r.Program == inventory.ProgramAgent) {
			found = append(found, r)
		}
	}
	switch len(found) {
	case 0:
		return "", usagef("there is no release %q for %s (see: release list)", ref, kind)
	case 1:
		return string(found[0].ID), nil
	default:
		return "", usagef("there are %d releases %q for %s: name one by its id (see: release list)", len(found), ref, kind)
	}
}

func readKey(file string) (ed25519.PrivateKey, error) {
	if file == "" {
		return nil, usagef("--key is needed: the file of a release key (see: release keygen)")
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, Usage(err)
	}
	key, err := release.ParseKey(text)
	if err != nil {
		return nil, Usage(fmt.Errorf("%s: %w", file, err))
	}
	return key, nil
}

// writeNew writes a file that must not be there yet.
func writeNew(file string, text []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return usagef("%s exists already: nothing was written", file)
	}
	if err != nil {
		return Usage(err)
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// digest is a file's size and SHA-256.
func digest(file string) (size int64, sum string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = f.Close() }() // it was only read
	hash := sha256.New()
	size, err = io.Copy(hash, f)
	return size, hex.EncodeToString(hash.Sum(nil)), err
}
