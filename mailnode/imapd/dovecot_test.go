package imapd

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/peers"
)

// dovecotConfig is Debian's Dovecot in a directory of its own, on loopback, with all
// users' mail as maildirs and one password for everybody.
const dovecotConfig = `
base_dir = %[1]s/run
state_dir = %[1]s/state
log_path = %[1]s/log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_format = %%n
mail_location = maildir:%[1]s/mail/%%u
mail_fsync = always
mail_attribute_dict = file:%[1]s/mail/%%u/attributes
mail_plugins = quota acl
first_valid_uid = 1
mail_uid = %[3]s
mail_gid = %[3]s
mail_max_userip_connections = 20000
passdb {
  driver = static
  args = password=%[4]s
}
userdb {
  driver = static
  args = uid=%[3]s gid=%[3]s home=%[1]s/mail/%%u
}
namespace inbox {
  inbox = yes
  separator = /
  mailbox Sent {
    special_use = \Sent
  }
}
namespace others {
  type = shared
  separator = /
  prefix = Other Users/%%%%u/
  location = maildir:%[1]s/mail/%%%%u
  subscriptions = no
  list = children
}
plugin {
  quota = count:User
  quota_vsizes = yes
  quota_rule = *:storage=100M:messages=1000
  acl = vfile
  acl_shared_dict = file:%[1]s/shared
}
service imap-login {
  inet_listener imap {
    port = %[2]d
  }
  inet_listener imaps {
    port = 0
  }
  process_min_avail = 1
  service_count = 0
  client_limit = 20000
}
service imap {
  process_limit = 20000
}
service stats {
  unix_listener stats-writer {
    mode = 0666
  }
}
service dict {
  unix_listener dict {
    mode = 0666
  }
}
protocol imap {
  mail_plugins = quota acl imap_quota imap_acl
  imap_metadata = yes
}
`

// dovecot starts Debian's Dovecot and returns its address.
func dovecot(t testing.TB) string {
	t.Helper()
	program := peers.Find(t, "dovecot-imapd", "dovecot")
	peers.Root(t, "Dovecot")
	dir, err := os.MkdirTemp("", "dovecot-") // short, for its sockets' sake
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	config := filepath.Join(dir, "dovecot.conf")
	text := fmt.Sprintf(dovecotConfig, dir, port, "mail", "secret")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", `cd "$0" && mkdir mail && chown mail:mail . mail && chmod 755 .`, dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := exec.Command(program, "-F", "-c", config)
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Signal(os.Interrupt)
		_ = server.Wait()
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			lines := strings.Split(string(log), "\n")
			t.Logf("Dovecot: %s", strings.Join(lines[max(0, len(lines)-15):], "\n"))
		}
	})
	addr := fmt.Sprintf("127.0.0.1:%d", port)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	var dialer net.Dialer
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := dialer.DialContext(ctx, "tcp", addr); err == nil {
			_ = c.Close()
			return addr
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("Dovecot does not get ready")
		}
	}
}

// TestDovecotAgrees runs the same scripts on Dovecot: what they ask of a server is not
// our own invention.
func TestDovecotAgrees(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	addr := dovecot(t)
	for i, s := range scripts(t) {
		t.Run(s.name, func(t *testing.T) {
			if reason, not := s.notOn["dovecot"]; not {
				t.Skip(reason)
			}
			s.run(t, "d", addr, map[string]string{
				"user": fmt.Sprintf("user%d", 2*i+1), "other": fmt.Sprintf("user%d", 2*i+2), "password": "secret",
			})
		})
	}
}
