package cli

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/fleet"
	"mailfleet/controller/metrics"
	"mailfleet/controller/metrics/embedded"
	"mailfleet/controller/ops"
	"mailfleet/controller/releases"
	"mailfleet/controller/rest"
	"mailfleet/controller/seal"
	"mailfleet/inventory"
	"mailfleet/inventory/dbstore"
	"mailfleet/inventory/identity"
)

// controller is a real one, but for agents, with what a client needs of it.
type controller struct {
	t              *testing.T
	store          inventory.Store
	url, ca, token string
	dir            string
}

func start(t *testing.T) *controller {
	t.Helper()
	dir, quiet := t.TempDir(), slog.New(slog.DiscardHandler)
	c := &controller{t: t, dir: dir}
	store, err := dbstore.Open(t.Context(), dbstore.Options{Path: filepath.Join(dir, "inventory.db")})
	c.ok(err)
	t.Cleanup(func() { c.ok(store.Close()) })
	c.store = store
	samples, err := embedded.Open(embedded.Options{Dir: filepath.Join(dir, "samples"), Logger: quiet})
	c.ok(err)
	t.Cleanup(func() { c.ok(samples.Close()) })
	ca, err := identity.OpenCA(dir)
	c.ok(err)
	c.ca = filepath.Join(dir, "ca.crt")
	self, err := ca.IssueSelf("controller", nil, []netip.Addr{netip.MustParseAddr("127.0.0.1")})
	c.ok(err)
	gate := auth.New(store)
	write := metrics.WriteHandler(metrics.WriteOptions{Store: samples, Server: gate.WriteIdentity, Logger: quiet})
	key, err := seal.Open(filepath.Join(dir, "seal.key"))
	c.ok(err)
	servers, err := fleet.New(t.Context(), fleet.Options{Store: store, CA: ca, Seal: key, Write: write, URL: "https://controller", Interval: time.Minute, Log: quiet})
	c.ok(err)
	shelf, err := releases.Open(dir)
	c.ok(err)
	handler, err := rest.New(rest.Options{
		Releases: shelf, Store: store, Samples: samples, Write: write, Auth: gate, Operations: ops.New(ops.Options{Store: store, Log: quiet}), Fleet: servers, Powers: servers, Mailnodes: servers, Seal: key, DNS: net.DefaultResolver, Version: "test", Logger: quiet,
	})
	c.ok(err)
	c.ok(c.serve(handler, identity.ServerConfig(ca.Root, self.GetCertificate, servers.Revoked)))
	t.Cleanup(func() { c.ok(handler.Close()) })
	token, err := gate.CreateToken(t.Context(), inventory.Actor{Name: "controller"}, auth.Controller(), api.NewToken{Name: "cli", Role: inventory.RoleOperator})
	c.ok(err)
	c.token = token.Secret
	t.Setenv("MAILFLEET_ADDRESS", c.url)
	t.Setenv("MAILFLEET_TOKEN", c.token)
	t.Setenv("MAILFLEET_CA", c.ca)
	return c
}

// serve is what app does: httptest would show a certificate of its own.
func (c *controller) serve(handler http.Handler, config *tls.Config) error {
	listener, err := (&net.ListenConfig{}).Listen(c.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	web := &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	rest.Protect(web)
	done := make(chan error, 1)
	go func() { done <- web.Serve(tls.NewListener(listener, config)) }()
	c.t.Cleanup(func() {
		c.ok(web.Close())
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			c.t.Error(err)
		}
	})
	c.url = "https://" + listener.Addr().String()
	return nil
}

func (c *controller) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// run is a command line as main runs it.
func run(t *testing.T, stdin string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	root := &cobra.Command{Use: "mailfleet-controller", SilenceErrors: true, SilenceUsage: true}
	root.AddCommand(Commands()...)
	var out, problems bytes.Buffer
	root.SetArgs(args)
	root.SetIn(strings.NewReader(stdin))
	root.SetOut(&out)
	root.SetErr(&problems)
	code = Execute(t.Context(), root)
	return out.String(), problems.String(), code
}

// does runs a command that must succeed and checks that it prints all of want.
func (c *controller) does(stdin string, args []string, want ...string) string {
	c.t.Helper()
	out, problems, code := run(c.t, stdin, args...)
	if code != exitOK || problems != "" {
		c.t.Fatalf("%v: exit %d: %s%s", args, code, out, problems)
	}
	for _, text := range want {
		if !strings.Contains(out, text) {
			c.t.Errorf("%v does not print %q:\n%s", args, text, out)
		}
	}
	return out
}

// fails runs a command that must fail with one line on standard error.
func (c *controller) fails(code int, want string, args ...string) {
	c.t.Helper()
	_, problems, got := run(c.t, "", args...)
	if got != code || !strings.Contains(problems, want) || strings.Count(problems, "\n") != 1 {
		c.t.Errorf("%v: exit %d, want %d: %q, want %q", args, got, code, problems, want)
	}
}

func words(line string) []string { return strings.Fields(line) }

func TestOperatorsRunTheFleetFromTheCommandLine(t *testing.T) {
	c := start(t)
	c.does("", words("server add mail-1 192.0.2.1 --region hk --label role=edge"), "mailfleet-agent join --controller https://controller --token ")
	c.does("", words("server add mail-2 192.0.2.2"))
	c.does("", words("server list"), "NAME    STATE", "mail-1  joining  192.0.2.1  hk      mailnode unknown")
	c.does("", words("server list --region hk --limit 1"), "mail-1")
	c.does("", words("server show mail-1"), "role=edge")
	c.does("", words("server invite mail-1"), "--token ")
	c.does("", words("service list --server mail-2"), "mail-2  mailnode  unknown  running")

	c.does("", []string{"service", "stop", "mail-1", "mailnode", "--reason", "换硬盘"}, "service.stop", "queued", "换硬盘", "mail-1  mailnode  queued")
	id := strings.Fields(c.does("", words("operation list --server mail-1")))[8]
	c.does("", words("operation show "+id), id, "token:cli")
	c.does("", words("operation cancel "+id), "cancelled by token:cli")
	c.fails(exitFailed, "operation "+id+" cancelled", "operation", "show", id, "--wait")
	c.fails(exitFailed, "can be cancelled", "operation", "cancel", id)
	c.fails(exitFailed, "there is no operation", "operation", "show", string(inventory.NewID()))
	c.fails(exitFailed, "mail-1", "service", "log", "mail-1", "mailnode")

	ann := strings.Fields(c.does("", words("contact add 王小明 13800138000"), "王小明", "zh"))
	c.does("", words("rule add memory mem_used_percent above 90 --clear 80 --for 1m30s --severity critical --server mail-1 --recipient "+ann[len(ann)-1]),
		"> 90", "1m30s", "critical")
	c.does("", words("rule list"), "memory  mem_used_percent  > 90       80     1m30s  critical")
	c.fails(exitFailed, "tells 王小明", "contact", "remove", ann[len(ann)-1])
	c.does("", words("rule remove memory"))
	c.does("", words("contact remove "+ann[len(ann)-1]))
	c.does("", words("contact list"), "NAME")
	c.does("", words("sms send 13800138000 hello"), "queued")
	c.does("", words("sms list --state queued"), "hello")

	c.does("", words("domain add example.test"), "example.test")
	c.does("correct horse\n", words("account add user1@example.test --server mail-1 --name 一"), "user1@example.test", "mail-1")
	c.does("battery staple", words("account password user1@example.test"), "active")
	c.does("", words("account suspend user1@example.test"), "suspended")
	c.does("", words("account resume user1@example.test"), "active")
	c.does("", words("account list --domain example.test"), "user1@example.test  一    active  mail-1")
	c.fails(exitFailed, "has 1 accounts", "domain", "remove", "example.test")
	c.does("", words("session list --kind console"), "KIND")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "session", "list", "--account", "user1@example.test")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "session", "end", "--domain", "example.test", "--kind", "imap,pop3")
	c.fails(exitUsage, "name sessions by their ids", "session", "end")
	c.fails(exitFailed, "there is no session", "session", "end", string(inventory.NewID()))
	c.fails(exitFailed, "mail-1 is not connected", "account", "show", "user1@example.test")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "account", "held", "--domain", "example.test")
	for _, verb := range []string{"release", "delete-held"} {
		c.fails(exitFailed, "mail-1 is not connected", "account", verb, "user1@example.test")
	}
	c.does("", words("group add team@example.test user1@example.test x@elsewhere.test --writers domain"), "team@example.test", "domain")
	c.does("", words("group list --domain example.test"), "user1@example.test x@elsewhere.test")
	c.does("", words("dkim list --domain example.test --state active"), "rsa-sha256", "ed25519-sha256")
	c.does("", words("domain records example.test"), "v=DKIM1", "v=spf1")
	c.does("", words("domain mail set example.test --dmarc quarantine --greylisting off --catch-all user1@example.test"), "quarantine", "user1@example.test")
	c.does("", words("domain mail set example.test --policy refuse"), "quarantine", "refuse")
	c.does("", words("domain mail get example.test -o json"), `"dmarc": "quarantine"`, `"catch_all": "user1@example.test"`)
	c.does("", append(words("domain mail set example.test -o csv --catch-all"), ""), "domain,delimiter,catch_all", "example.test,,,,quarantine,off")
	c.fails(exitUsage, "name what is to be changed", "domain", "mail", "set", "example.test")
	c.fails(exitUsage, "dmarc", "domain", "mail", "set", "example.test", "--dmarc", "burn")
	c.fails(exitFailed, "nothing.test", "domain", "mail", "get", "nothing.test")
	c.does("secret\n", words("route set example.test relay.test --port 465 --tls implicit --user me"), "me@relay.test:465 (implicit)")
	c.does("", words("route list"), "me@relay.test:465 (implicit)")
	c.does("", words("route clear example.test"), "ROUTE          -")
	hook := words(c.does("", words("hook add example.test https://hooks.test/mail --event bounced"), "SECRET", "bounced"))
	c.does("", words("hook list example.test"), "https://hooks.test/mail", hook[1])
	c.does("", words("domain mail set example.test --dmarc none"), "HOOKS          1")
	c.does("", words("hook remove example.test "+hook[1]))
	c.fails(exitUsage, "events", "hook", "add", "example.test", "https://hooks.test/", "--event", "dreamt")
	c.does("", words("alias add user1@example.test info@example.test sales@example.test"), "info@example.test", "sales@example.test")
	c.does("", words("alias remove user1@example.test sales@example.test"))
	if out := c.does("", words("alias list user1@example.test -o csv"), "user1@example.test,info@example.test"); strings.Contains(out, "sales") {
		t.Errorf("the alias is still there: %s", out)
	}
	c.does("", words("forward set user1@example.test me@elsewhere.test --keep"), "me@elsewhere.test", "true")
	c.does("", words("forward show user1@example.test -o json"), `"keep": true`)
	c.does("", words("forward clear user1@example.test"), "FORWARDED TO  -")
	for line, want := range map[string]string{"alias add user": "user1@example.test", "domain mail get ex": "example.test", "domain mail set example.test --dmarc q": "quarantine"} {
		if out, _, code := run(t, "", words("__complete "+line)...); code != exitOK || !strings.Contains(out, want) {
			t.Errorf("the shell is offered %q after %q", out, line)
		}
	}
	c.fails(exitUsage, "say where to", "queue", "export", "mail-1", "--everything")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "ledger", "failures")
	c.fails(exitUsage, "say which mail is meant", "queue", "hold", "mail-1")
	c.does("", words("queue delete mail-1 --destination elsewhere.test --report --preview"), "QUEUED MAIL")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "queue", "summary")
	c.fails(exitFailed, "mail-1, mail-2 did not answer", "ledger", "--by", "domain")
	c.does("", words("group remove team@example.test"))
	c.does("", words("account remove user1@example.test"))
	c.does("", words("domain remove example.test"))
	c.does("", words("domain list"), "POSTMASTER")

	token := c.does("", words("token add ci --only servers:read --expires 1h"), "mft_")
	c.does("", words("token list"), "servers:read", "token:cli")
	c.does("", words("token remove ci"))
	c.fails(exitUnreachable, "the token is not known", "server", "list", "--token", strings.Fields(token)[3])

	c.does("", words("status"), "joining=2", "unknown=2")
	c.does("", words("audit list --action token.delete"), "token:cli", "127.0.0.1")
	c.does("", words("audit verify"), "true")
	c.does("", words("server remove mail-2"))
	if out := c.does("", words("server list")); strings.Contains(out, "mail-2") {
		t.Errorf("a removed server is listed:\n%s", out)
	}
	if !json.Valid([]byte(c.does("", words("api"), `"openapi": "3.1.0"`))) {
		t.Error("the description is no JSON")
	}
}

func TestPeopleTenantsAndPlansFromTheCommandLine(t *testing.T) {
	c := start(t)
	c.does("", words("plan add basic --quota 1073741824 --sent-a-day 500 --off imap,webmail"), "quota=1073741824 sent-a-day=500", "imap webmail")
	c.does("", words("plan set basic --quota 2000 --off imap"), "quota=2000")
	c.does("", words("tenant add acme --plan basic --max-domains 2"), "acme", "enterprise", "basic", "2")
	c.does("", words("tenant set acme --plan basic --max-domains 3 --contact ops@acme.test"), "ops@acme.test")
	c.does("", words("tenant list"), "acme  enterprise", "basic  3")
	c.fails(exitFailed, "acme", "plan", "remove", "basic")
	c.does("", words("domain add acme.test"))
	c.does("", words("domain set acme.test --tenant acme --max-accounts 5"), "acme.test")
	c.fails(exitFailed, "acme", "tenant", "remove", "acme")

	made := c.does("", words("person add 李雷 --role domain-admin --scope domain:acme.test"), "domain-admin", "domain:acme.test", "PASSWORD")
	if strings.Contains(c.does("", words("person list"), "李雷"), strings.Fields(made)[7]) {
		t.Error("the first password is listed")
	}
	c.does("", words("person set 李雷 --role helpdesk --email li@acme.test"), "helpdesk", "li@acme.test")
	c.does("", words("person set 李雷 --disabled --forget-second-factor --unlock"), "disabled")
	c.does("correct horse battery", words("person password 李雷"), "李雷")
	c.fails(exitUsage, "role", "person", "set", "李雷", "--role", "emperor")
	c.does("", words("person remove 李雷"))

	c.does("", words("policy set --password-length 12 --second-factor operator,auditor --approval server.shutdown --token-life 720h"), "12", "operator auditor", "server.shutdown", "720h")
	c.does("", words("policy set --approval="), "operator auditor")
	if out := c.does("", words("policy show")); strings.Contains(out, "server.shutdown") {
		t.Errorf("an approval that was taken away:\n%s", out)
	}
	c.does("", words("token add box --role domain-admin --scope domain:acme.test --expires 1h"), "mft_")
	c.does("", words("token list"), "domain:acme.test")
	c.fails(exitUsage, "720h", "token", "add", "long", "--expires", "7200h")
}

func TestServicesPowerAndPoolsFromTheCommandLine(t *testing.T) {
	c := start(t)
	for _, name := range []string{"mail-1", "mail-2"} {
		c.does("", words("server add "+name+" 192.0.2.1"))
	}
	c.does("", words("service add mail-1 rspamd --dir /tmp --env A=b --user nobody --after mailnode --tcp 127.0.0.1:11333 -- /usr/bin/rspamd -f"), "mail-1", "rspamd")
	set := c.does("", words("service settings mail-1 rspamd"), `"/usr/bin/rspamd"`, `"nobody"`, `"127.0.0.1:11333"`)
	c.does(strings.Replace(set, "nobody", "daemon", 1), words("service settings mail-1 rspamd --replace -"), "rspamd")
	c.does("", words("service settings mail-1 rspamd"), `"daemon"`)
	if _, problems, code := run(t, `{"comand":["x"]}`, words("service settings mail-1 rspamd --replace -")...); code != exitUsage || !strings.Contains(problems, "comand") {
		t.Errorf("a setting that is not one: %d %s", code, problems)
	}
	c.does("", words("service remove mail-1 rspamd"))

	c.does("s3cret", words("power set mail-1 ipmi --bmc 192.0.2.9 --user admin --password"), "ipmi", "192.0.2.9", "true")
	if out := c.does("", []string{"power", "show", "mail-1", "-o", "json"}); strings.Contains(out, "s3cret") {
		t.Errorf("the password is shown:\n%s", out)
	}
	c.does("", words("power remove mail-1"))
	c.fails(exitFailed, "mail-1", "power", "show", "mail-1")
	c.does("", words("preflight list"), "SERVER")
	c.fails(exitFailed, "mail-1", "preflight", "show", "mail-1")

	c.does("", words("pool add web mailnode mail-1 --max-unavailable 1"), "mail-1=1")
	c.does("", words("pool join web mail-2 --weight 3"), "mail-1=1 mail-2=3")
	c.does("", words("pool leave web mail-1"), "mail-2=3")
	c.does("", words("pool list"), "web   mailnode  mail-2=3")
	c.does("", words("pool remove web"))

	opened := strings.Fields(c.does("", words("window open mail-2 --reason disks --for 30m"), "mail-2", "disks", "token:cli"))
	id := opened[len(opened)-1]
	c.does("", words("window list"), id)
	c.does("", words("window close "+id), id)
	c.does("", words("window remove "+id))
	c.fails(exitUsage, "reason", "window", "open", "mail-2")
}

func TestAlertsAreTakenOn(t *testing.T) {
	c := start(t)
	alert := &inventory.Alert{RuleName: "cpu", ServerName: "mail-1", State: inventory.AlertFiring, Severity: inventory.Critical,
		Tags: map[string]string{"mount": "/"}, Value: 99.123}
	c.ok(c.store.Update(t.Context(), func(tx inventory.Tx) error { return tx.Alerts().Create(alert) }))
	c.does("", words("alert list --state firing"), "critical", "mount=/", "99.12")
	c.does("", words("alert ack "+string(alert.ID)), "token:cli")
}

func TestSamplesArePrinted(t *testing.T) {
	c := start(t)
	c.does("", words("server add mail-1 192.0.2.1"))
	client, err := (&settings{output: "table"}).client()
	c.ok(err)
	body := fmt.Sprintf("disk,server=mail-1,mount=/ used=12.5 %d", time.Now().Unix())
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+"/api/v2/write?precision=s", strings.NewReader(body))
	c.ok(err)
	req.Header.Set("Authorization", "Token "+c.token)
	res, err := client.HTTP.Do(req)
	c.ok(err)
	c.ok(res.Body.Close())
	if res.StatusCode != http.StatusNoContent {
		t.Fatal(res.Status)
	}
	c.does("", words("sample mail-1"), "disk_used")
	c.does("", words("sample mail-1 disk_used --from -10m --step 10s --aggregate max"), "mount=/", "12.5")
	c.does("", words("sample mail-1 disk_used -o json"), `"points": [`)
}

func TestJSONIsForPrograms(t *testing.T) {
	c := start(t)
	if out := c.does("", words("server list --output json")); out != "[]\n" {
		t.Errorf("an empty list is %q", out)
	}
	c.does("", words("server add mail-1 192.0.2.1 -o json"), `"token": "`)
	var servers []api.Server
	c.ok(json.Unmarshal([]byte(c.does("", words("server list -o json"))), &servers))
	if len(servers) != 1 || servers[0].Name != "mail-1" {
		t.Errorf("got %+v", servers)
	}
	var op inventory.Operation
	c.ok(json.Unmarshal([]byte(c.does("", words("service start mail-1 mailnode -o json"))), &op))
	if op.Kind != inventory.OpServiceStart {
		t.Errorf("got %+v", op)
	}
}

func TestWrongUsageIsToldApartFromFailure(t *testing.T) {
	c := start(t)
	c.fails(exitUsage, `mailfleet-controller server has no command "lst"`, "server", "lst")
	c.fails(exitUsage, `mailfleet-controller has no command "sever"`, "sever")
	c.fails(exitUsage, "unknown flag: --colour", "server", "list", "--colour")
	c.fails(exitUsage, "accepts 1 arg(s), received 0", "server", "show")
	c.fails(exitUsage, `--output is table, json or csv, not "xml"`, "server", "list", "-o", "xml")
	c.fails(exitUsage, `"ninety" is not a number`, "rule", "add", "r", "cpu_user", "above", "ninety")
	c.fails(exitUsage, `metric "cpu" must be measurement_field`, "rule", "add", "r", "cpu", "sideways", "90")
	c.fails(exitUsage, "no password on standard input", "account", "add", "a@example.test")
	c.fails(exitUsage, "there is no server", "service", "stop", "mail-9", "mailnode")
	c.fails(exitFailed, "there is no server", "server", "show", "mail-9")
	c.fails(exitUnreachable, "the token is not known", "server", "list", "--token", "mft_wrong")
	if out, _, code := run(t, "", "server"); code != exitOK || !strings.Contains(out, "Exit codes") {
		t.Errorf("a command of commands: exit %d: %s", code, out)
	}
}

func TestWhichControllerIsAsked(t *testing.T) {
	c := start(t)
	for _, name := range []string{"MAILFLEET_ADDRESS", "MAILFLEET_TOKEN", "MAILFLEET_CA"} {
		t.Setenv(name, "")
	}
	t.Chdir(t.TempDir())
	c.fails(exitUsage, "say which controller to ask", "server", "list")
	c.fails(exitUsage, "give an API token", "server", "list", "--address", c.url)
	c.fails(exitUnreachable, "certificate", "server", "list", "--address", c.url, "--token", c.token)
	c.fails(exitUnreachable, "refused", "server", "list", "--address", "127.0.0.1:1", "--token", c.token, "--ca", c.ca)
	c.fails(exitUsage, "holds no certificate", "server", "list", "--address", c.url, "--token", c.token, "--ca", os.DevNull)
	c.does("", []string{"server", "list", "--address", strings.TrimPrefix(c.url, "https://"), "--token", c.token, "--ca", c.ca})

	c.fails(exitUsage, "read the dev fleet", "server", "list", "--dev", "elsewhere")
	c.ok(os.Mkdir(defaultDev, 0o700))
	file := filepath.Join(defaultDev, "dev.json")
	c.ok(os.WriteFile(file, []byte("{"), 0o600))
	c.fails(exitUsage, "dev.json", "server", "list")
	dev, err := json.Marshal(devFleet{Console: c.url, CA: c.ca, Token: c.token})
	c.ok(err)
	c.ok(os.WriteFile(file, dev, 0o600))
	c.does("", words("server list"))
	t.Setenv("MAILFLEET_TOKEN", "mft_of_another_fleet")
	c.does("", words("server list --dev .dev")) // a fleet that is named is asked as its own
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, exitOK}, {errors.New("x"), exitFailed}, {usagef("x"), exitUsage}, {fmt.Errorf("w: %w", Usage(errors.New("x"))), exitUsage},
		{&api.Problem{Status: http.StatusConflict}, exitFailed}, {&api.Problem{Status: http.StatusInternalServerError}, exitFailed},
		{&api.Problem{Status: http.StatusForbidden}, exitUnreachable}, {&api.Problem{Status: http.StatusBadRequest}, exitUsage},
	} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: exit %d, want %d", c.err, got, c.want)
		}
	}
}

func TestTablesAlignAlsoWithWideCharacters(t *testing.T) {
	var b bytes.Buffer
	err := align(&b, [][]string{{"NAME", "NOTE", "LAST"}, {"王小明", "ok", "a"}, {"e\u0301", "line\nbreak \x1b[31m", ""}, {"ＡＢ한", "", "z"}})
	want := "NAME    NOTE              LAST\n" +
		"王小明  ok                a\n" +
		"e\u0301       line break \ufffd[31m  -\n" +
		"ＡＢ한  -                 z\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%s\nwant\n%s", err, b.String(), want)
	}
}

func TestListsAsCSV(t *testing.T) {
	c := start(t)
	c.does("", words("server add mail-1 192.0.2.1"))
	out := c.does("", words("server list -o csv"))
	if lines := strings.Split(out, "\n"); lines[0] != "name,state,address,region,services,last_seen,id" || !strings.HasPrefix(lines[1], "mail-1,joining,192.0.2.1,,mailnode unknown,,") {
		t.Errorf("got\n%s", out)
	}
	var b bytes.Buffer
	c.ok(printCSV(&b, [][]string{{"A", "B C"}, {"=1+1", "+8613800138000"}, {"-5", "a,\"b\""}}))
	if want := "a,b_c\n'=1+1,+8613800138000\n-5,\"a,\"\"b\"\"\"\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestContextsNameControllers(t *testing.T) {
	c := start(t)
	for _, name := range []string{"MAILFLEET_ADDRESS", "MAILFLEET_TOKEN", "MAILFLEET_CA"} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("MAILFLEET_CONTEXTS", filepath.Join(dir, "mine", "contexts.yaml"))
	t.Chdir(dir) // no dev fleet here
	c.fails(exitUsage, "say which controller", "status")
	token := filepath.Join(dir, "token")
	c.ok(os.WriteFile(token, []byte(c.token+"\n"), 0o600))
	c.fails(exitUsage, "no such file", "context", "set", "hk", "--address", c.url, "--token-file", filepath.Join(dir, "none"))
	c.does("", []string{"context", "set", "hk", "--address", c.url, "--ca", c.ca, "--token-file", "token"}, "hk is "+c.url)
	c.does("", words("context set away --address https://192.0.2.1:1"), "away")
	c.does("", words("context list"), "hk", "away", "*")
	c.does("", words("status --context hk"), "SERVERS")
	c.fails(exitUsage, `there is no context "sg"`, "status", "--context", "sg")
	c.does("", words("context use hk"))
	c.does("", words("status"), "SERVERS")
	t.Setenv("MAILFLEET_CONTEXT", "away")
	c.fails(exitUsage, "give an API token", "status")
	t.Setenv("MAILFLEET_CONTEXT", "")
	c.does("", words("context remove hk"))
	c.fails(exitUsage, "say which controller", "status")
	c.ok(os.WriteFile(filepath.Join(dir, "mine", "contexts.yaml"), []byte("contexts:\n- title: hk\n"), 0o600))
	c.fails(exitUsage, "line 2", "status")
}

func TestNamesAreCompletedFromTheFleet(t *testing.T) {
	c := start(t)
	c.does("", words("server add mail-1 192.0.2.1 --region hk"))
	c.does("", words("server add mail-2 192.0.2.2"))
	for line, want := range map[string]string{
		"server reboot ":              "mail-1\tjoining hk",
		"server reboot mail-1 ":       "mail-2",
		"service stop mail-1 ":        "mailnode\tunknown",
		"operation create server.reb": "server.reboot",
		"server list --output ":       "csv",
	} {
		args := append([]string{"__complete"}, strings.Split(line, " ")...)
		out, _, _ := run(t, "", args...)
		if !strings.Contains(out, want) {
			t.Errorf("%q completes to\n%s", line, out)
		}
	}
}
