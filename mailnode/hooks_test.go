package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailfleet/inventory"
	"mailfleet/mailnode/api"
)

// A hook on this machine is told of mail once the server's settings let hooks reach it.
func TestHooksReachTheNetworksTheyMay(t *testing.T) {
	told := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		told <- string(b)
	}))
	defer server.Close()
	const id = "0198c0de-0000-7000-8000-00000000000b"
	f := newFixture(t)
	f.config.Domains[0].Mail.Hooks = []inventory.Hook{{ID: id, URL: server.URL, Events: []string{"delivered"}}}
	f.config.Domains[0].HookSecrets = []api.HookSecret{{Hook: id, Secret: "0123456789abcdef0123456789abcdef"}}
	f.write()
	f.start()
	if err := send(f.address(api.SMTP), "user1@example.test", "Subject: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case b := <-told:
		t.Errorf("it was told %s", b)
	default:
	}
	f.reload(func(c *api.Config) { c.Mail.HooksTo = []string{"127.0.0.1"} })
	if b := <-told; !strings.Contains(b, `"user1@example.test"`) {
		t.Errorf("it was told %s", b)
	}
}
