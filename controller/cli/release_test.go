package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailfleet/controller/releases"
	"mailfleet/inventory"
)

func TestAReleaseFromItsKeyToTheOperation(t *testing.T) {
	c := start(t)
	off := t.TempDir() // the operator's own place
	key, other, list, program := filepath.Join(off, "key"), filepath.Join(off, "other"), filepath.Join(off, "keys"), filepath.Join(off, "agent")
	public := strings.TrimSpace(c.does("", []string{"release", "keygen", key}))
	c.fails(exitUsage, "exists already", "release", "keygen", key)
	second := strings.TrimSpace(c.does("", []string{"release", "keygen", other}))
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key's file: %v, %v", info, err)
	}
	c.ok(os.WriteFile(program, []byte("a program"), 0o755))
	c.fails(exitUsage, "is not signed", "release", "publish", program)
	c.fails(exitUsage, "--key is needed", "release", "sign", program)
	c.fails(exitUsage, "the version", "release", "sign", program, "--key", key, "--program", "agent", "--version", "2 beta")
	sign := []string{"release", "sign", program, "--program", "agent", "--version", "2.0", "--key"}
	c.does("", append(sign, key), "signed as mailfleet-agent 2.0 for linux/")
	c.fails(exitFailed, "trusts no release key yet", "release", "publish", program)

	c.does("", []string{"release", "trust", list, "--key", key})
	lay := func(list string) {
		text, err := os.ReadFile(list)
		c.ok(err)
		c.ok(os.WriteFile(filepath.Join(c.dir, releases.KeysFile), text, 0o600))
	}
	lay(list)
	c.does("", words("release keys"), public)
	c.does("", append(sign, other))
	c.fails(exitUsage, "a key that is not trusted", "release", "publish", program)
	next := list + ".2"
	c.fails(exitUsage, "does not have", "release", "trust", filepath.Join(off, "no"), second, "--key", other, "--after", list)
	c.does("", []string{"release", "trust", next, second, "--key", key, "--after", list})
	lay(next)
	c.does("", words("release keys"), second, "2")
	c.does("", []string{"release", "publish", program}, "mailfleet-agent", "2.0", second)
	c.fails(exitFailed, "already", "release", "publish", program)
	c.does("", words("release list --program mailfleet-agent"), "2.0", "token:cli")
	c.ok(os.WriteFile(program, []byte("a prognam"), 0o755))
	c.fails(exitUsage, "changed since it was signed", "release", "publish", program)

	c.does("", words("server add mail-1 192.0.2.1"))
	c.fails(exitUsage, `no release "3.0"`, "server", "upgrade", "mail-1", "--release", "3.0")
	listed := strings.Fields(c.does("", words("release list")))
	id := listed[len(listed)-1]
	c.does("", words("server upgrade mail-1 --release 2.0"), "agent.upgrade", "queued")
	c.fails(exitUsage, "release 2.0 is of mailfleet-agent", "service", "upgrade", "mail-1", "mailnode", "--release", id)
	c.fails(exitFailed, "an operation about it has not ended", "release", "remove", id)
	c.fails(exitFailed, "there is no release", "release", "remove", string(inventory.NewID()))
}
