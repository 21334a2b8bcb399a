package cli

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// target is a controller and how it is reached, kept under a name so that
// nobody types it twice. The token itself is in a file of its own.
type target struct {
	Name      string `yaml:"name" json:"name"`
	Address   string `yaml:"address" json:"address"`
	CA        string `yaml:"ca,omitempty" json:"ca,omitempty"`
	TokenFile string `yaml:"token_file,omitempty" json:"token_file,omitempty"`
}

// contexts is the file of named targets.
type contexts struct {
	Current  string   `yaml:"current,omitempty"`
	Contexts []target `yaml:"contexts"`
}

// contextFile is where contexts are kept: MAILFLEET_CONTEXTS, or contexts.yaml
// in the user's own configuration directory.
func contextFile() (string, error) {
	if file := os.Getenv("MAILFLEET_CONTEXTS"); file != "" {
		return file, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", usagef("there is no configuration directory; set MAILFLEET_CONTEXTS: %w", err)
	}
	return filepath.Join(dir, "mailfleet", "contexts.yaml"), nil
}

// readContexts reads the file; no file is no contexts.
func readContexts() (c contexts, file string, err error) {
	if file, err = contextFile(); err != nil {
		return c, file, err
	}
	f, err := os.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return c, file, nil
	}
	if err != nil {
		return c, file, usagef("read the contexts: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return c, file, usagef("%s: %s", file, strings.Join(strings.Fields(err.Error()), " "))
	}
	return c, file, nil
}

// write replaces the file; a reader sees the old or the new one.
func (c contexts) write(file string) error {
	text, err := yaml.Marshal(c)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(file+".tmp", text, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".tmp", file)
}

func (c contexts) find(name string) (target, bool) {
	i := slices.IndexFunc(c.Contexts, func(t target) bool { return t.Name == name })
	if i < 0 {
		return target{}, false
	}
	return c.Contexts[i], true
}

// chosen is the context that name, the environment or the file's current one
// says; ok is false when none is said.
func chosen(name string) (t target, ok bool, err error) {
	name = cmp.Or(name, os.Getenv("MAILFLEET_CONTEXT"))
	c, file, err := readContexts()
	if err != nil {
		return t, false, err
	}
	if name == "" {
		name = c.Current
	}
	if name == "" {
		return t, false, nil
	}
	if t, ok = c.find(name); !ok {
		return t, false, usagef("there is no context %q in %s", name, file)
	}
	return t, true, nil
}

// shownContext is a context as the list shows it.
type shownContext struct {
	target
	Current bool `json:"current"`
}

var contextColumns = []column[shownContext]{
	{"CURRENT", func(v shownContext) string {
		if v.Current {
			return "*"
		}
		return ""
	}},
	{"NAME", func(v shownContext) string { return v.Name }},
	{"ADDRESS", func(v shownContext) string { return v.Address }},
	{"CA", func(v shownContext) string { return v.CA }},
	{"TOKEN FILE", func(v shownContext) string { return v.TokenFile }},
}

func (s *settings) contextCommand() *cobra.Command {
	return parent("context", "Controllers by name, so that none is typed twice",
		&cobra.Command{Use: "list", Short: "List contexts", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
			c, _, err := readContexts()
			if err != nil {
				return err
			}
			var shown []shownContext
			for _, t := range c.Contexts {
				shown = append(shown, shownContext{t, t.Name == c.Current})
			}
			return show(s, cmd.OutOrStdout(), shown, contextColumns)
		}},
		s.setContextCommand(),
		&cobra.Command{Use: "use NAME", Short: "Make a context the one that is asked by default", Args: cobra.ExactArgs(1),
			ValidArgsFunction: contextNames,
			RunE: func(_ *cobra.Command, args []string) error {
				return changeContexts(func(c *contexts) error {
					if _, ok := c.find(args[0]); !ok {
						return usagef("there is no context %q", args[0])
					}
					c.Current = args[0]
					return nil
				})
			}},
		&cobra.Command{Use: "remove NAME", Short: "Forget a context; its token's file stays", Args: cobra.ExactArgs(1),
			ValidArgsFunction: contextNames,
			RunE: func(_ *cobra.Command, args []string) error {
				return changeContexts(func(c *contexts) error {
					i := slices.IndexFunc(c.Contexts, func(t target) bool { return t.Name == args[0] })
					if i < 0 {
						return usagef("there is no context %q", args[0])
					}
					c.Contexts = slices.Delete(c.Contexts, i, i+1)
					if c.Current == args[0] {
						c.Current = ""
					}
					return nil
				})
			}},
	)
}

func (s *settings) setContextCommand() *cobra.Command {
	return &cobra.Command{
		Use: "set NAME", Short: "Keep --address, --ca and --token-file under a name and use it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			t := target{Name: args[0], Address: s.address, CA: s.ca, TokenFile: s.tokenFile}
			if t.Address == "" {
				return usagef("say which controller: --address")
			}
			for _, file := range []*string{&t.CA, &t.TokenFile} {
				if *file == "" {
					continue
				}
				path, err := filepath.Abs(*file)
				if err != nil {
					return err
				}
				if _, err := os.Stat(path); err != nil {
					return Usage(err)
				}
				*file = path
			}
			err := changeContexts(func(c *contexts) error {
				c.Contexts = slices.DeleteFunc(c.Contexts, func(old target) bool { return old.Name == t.Name })
				c.Contexts = append(c.Contexts, t)
				slices.SortFunc(c.Contexts, func(a, b target) int { return cmp.Compare(a.Name, b.Name) })
				c.Current = t.Name
				return nil
			})
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is %s from now on\n", t.Name, t.Address)
			return err
		},
	}
}

func changeContexts(change func(*contexts) error) error {
	c, file, err := readContexts()
	if err != nil {
		return err
	}
	if err := change(&c); err != nil {
		return err
	}
	return c.write(file)
}

func contextNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	c, _, err := readContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	var names []string
	for _, t := range c.Contexts {
		names = append(names, t.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
