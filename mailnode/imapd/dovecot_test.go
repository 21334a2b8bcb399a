package imapd

import (
	"fmt"
	"testing"

	"mailfleet/controller/e2e/peers"
)

// dovecotConfig has Dovecot share mailboxes, keep attributes and quotas.
const dovecotConfig = `
auth_mechanisms = plain login
mail_attribute_dict = file:%[1]s/mail/%%u/attributes
mail_plugins = quota acl
namespace inbox {
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
  acl_shared_dict = file:%[1]s/mail/shared
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

// TestDovecotAgrees runs the same scripts on Dovecot: what they ask of a server is not
// our own invention.
func TestDovecotAgrees(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	dir := peers.Folder(t)
	addr := peers.StartDovecot(t, dir, "secret", fmt.Sprintf(dovecotConfig, dir)).IMAP
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
