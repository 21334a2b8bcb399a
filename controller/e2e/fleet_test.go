package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailfleet/controller/e2e/fleettest"
	"mailfleet/inventory"
)

func TestDevFleetIsReadyAndDescribesItself(t *testing.T) {
	f := theFleet(t)
	text, err := os.ReadFile(filepath.Join(f.Dir, "dev.json"))
	if err != nil {
		t.Fatal(err)
	}
	var info map[string]any
	if err := json.Unmarshal(text, &info); err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(info)); !slices.Equal(got, []string{"ca", "console", "operator", "servers", "token", "users"}) {
		t.Errorf("dev.json has the keys %v", got)
	}
	servers, _ := info["servers"].([]any)
	if len(servers) != 3 {
		t.Fatalf("dev.json has %d servers", len(servers))
	}
	first, _ := servers[0].(map[string]any)
	ports, _ := first["ports"].(map[string]any)
	if got := slices.Sorted(maps.Keys(ports)); !slices.Equal(got, []string{"http", "https", "imap", "imaps", "peer", "pop3", "pop3s", "smtp", "submission", "submissions"}) {
		t.Errorf("a server's ports are %v", got)
	}
	s := script{t, f}
	up := items(s.get("/api/v1/servers"))
	if len(up) != 3 {
		t.Fatalf("the API lists %d servers", len(up))
	}
	for _, v := range up {
		if v["state"] != "up" {
			t.Errorf("%s is %s", v["name"], v["state"])
		}
		services, _ := v["services"].([]any)
		if len(services) != 1 {
			t.Fatalf("%s has %d services", v["name"], len(services))
		}
		if m, _ := services[0].(map[string]any); m["name"] != "mailnode" || m["state"] != "running" || num(m, "pid") == 0 {
			t.Errorf("%s: its mailnode is %v", v["name"], m)
		}
	}
}

func TestSamplesHoldAllThatWasAskedFor(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	id := string(f.Info.Servers[0].ID)
	var names []any
	eventually(t, "a first sample", func() bool {
		names, _ = s.get("/api/v1/servers/" + id + "/samples")["metrics"].([]any)
		return slices.Contains(names, any("load_load1"))
	})
	for _, want := range []string{
		"load_load1", "cpu_user", "cpu_system", "cpu_nice", "cpu_idle", "mem_total", "mem_used", "mem_free", "mem_used_percent",
		"swap_used", "swap_free", "swap_cached", "swap_shared", "disk_total", "disk_used", "disk_free", "disk_inodes_used",
		"net_bytes_recv", "net_bytes_sent",
	} {
		if !slices.Contains(names, any(want)) {
			t.Errorf("there is no metric %s among %v", want, names)
		}
	}
	eventually(t, "two points of mem_used_percent", func() bool {
		answer := s.get("/api/v1/servers/" + id + "/samples?metric=mem_used_percent&from=-1h&step=1s")
		series, _ := answer["series"].([]any)
		if len(series) != 1 {
			return false
		}
		one, _ := series[0].(map[string]any)
		points, _ := one["points"].([]any)
		return len(points) >= 2
	})
}

func TestAMessageSentBySMTPIsReadByPOP3(t *testing.T) {
	f := theFleet(t)
	user := f.Info.Users[0]
	i := slices.IndexFunc(f.Info.Servers, func(s serverInfo) bool { return s.ID == user.Server })
	home := f.Info.Servers[i]
	subject := fmt.Sprintf("hello %d", time.Now().UnixNano())
	peer(t, "swaks", "--server", fmt.Sprintf("%s:%d", home.Address, home.Ports["smtp"]), "--tls", "--tls-verify", "--tls-ca-path", f.Info.CA,
		"--from", "outside@example.org", "--to", user.Address, "--header", "Subject: "+subject, "--body", "你好，世界")
	listing := peer(t, "curl", "-sS", "--max-time", "60", "--cacert", f.Info.CA, "-u", user.Address+":"+user.Password,
		fmt.Sprintf("pop3s://%s:%d/", home.Address, home.Ports["pop3s"]))
	lines := strings.Split(strings.TrimSpace(listing), "\n") // other tests send mail too
	last, _, ok := strings.Cut(lines[len(lines)-1], " ")
	if !ok || last != strconv.Itoa(len(lines)) {
		t.Fatalf("POP3 over TLS lists: %q", listing)
	}
	got := peer(t, "curl", "-sS", "--max-time", "60", "-u", user.Address+":"+user.Password,
		fmt.Sprintf("pop3://%s:%d/%s", home.Address, home.Ports["pop3"], last))
	if !strings.Contains(got, "Subject: "+subject) || !strings.Contains(got, "你好，世界") {
		t.Errorf("POP3 gave:\n%s", got)
	}
}

func TestAServiceIsStoppedAndStarted(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	name := f.Info.Servers[1].Name
	before := num(s.service(name, "mailnode"), "pid")
	for _, step := range []struct{ kind, state string }{{"service.stop", "stopped"}, {"service.start", "running"}, {"service.restart", "running"}} {
		op := s.operate(step.kind, name)
		if op["state"] != "succeeded" {
			t.Fatalf("%s: %v", step.kind, op)
		}
		eventually(t, name+"'s mailnode "+step.state, func() bool { return s.service(name, "mailnode")["state"] == step.state })
		now := num(s.service(name, "mailnode"), "pid")
		if step.state == "stopped" && (now != 0 || len(f.Processes("servers/"+name+"/mailnode")) != 0) {
			t.Errorf("after %s there is still a process", step.kind)
		}
		if step.state == "running" && (now == 0 || now == before) {
			t.Errorf("after %s the pid is %v, before it was %v", step.kind, now, before)
		}
		before = now
	}
	entries := items(s.get("/api/v1/audit?action=operation.create"))
	if len(entries) < 3 {
		t.Errorf("the audit log has %d of the 3 operations", len(entries))
	}
}

func TestTheSameIdempotencyKeyActsOnce(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	ask := func(server string) (int, map[string]any) {
		code, _, op := s.try(http.MethodPost, "/api/v1/operations", map[string]any{
			"kind": "service.start", "targets": []map[string]string{{"server": server, "service": "mailnode"}},
		}, "Idempotency-Key", "once")
		return code, op
	}
	_, first := ask(f.Info.Servers[2].Name)
	_, again := ask(f.Info.Servers[2].Name)
	if first["id"] == nil || first["id"] != again["id"] {
		t.Errorf("two answers: %v and %v", first["id"], again["id"])
	}
	if code, other := ask(f.Info.Servers[0].Name); code != http.StatusConflict {
		t.Errorf("another body with the same key: %d %v", code, other)
	}
}

func TestAThresholdCrossedSendsAnSMSAndAnotherWhenItIsOver(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	server := f.Info.Servers[0]
	rule := s.do(http.StatusCreated, http.MethodPost, "/api/v1/rules", map[string]any{
		"name": "always", "metric": "mem_used_percent", "comparison": ">", "value": 0.001, "for": "0s", "severity": "critical",
		"servers": []string{server.Name},
	})
	var alert map[string]any
	eventually(t, "a firing alert", func() bool {
		for _, a := range items(s.get("/api/v1/alerts?state=firing")) {
			if a["rule"] == rule["id"] {
				alert = a
			}
		}
		return alert != nil
	})
	messages := func() (out []map[string]any) {
		for _, m := range items(s.get("/api/v1/sms")) {
			if m["alert"] == alert["id"] {
				out = append(out, m)
			}
		}
		return out
	}
	eventually(t, "an SMS sent", func() bool { m := messages(); return len(m) == 1 && m[0]["state"] == "sent" })
	if m := messages()[0]; m["encoding"] != "ucs2" || !strings.Contains(str(m, "text"), server.Name) || !strings.Contains(str(m, "text"), "严重") {
		t.Errorf("the message is %v", m)
	}
	s.do(http.StatusOK, http.MethodPost, "/api/v1/alerts/"+str(alert, "id")+"/acknowledge", nil)
	s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/rules/"+str(rule, "id"), nil)
	eventually(t, "a second SMS", func() bool { return len(messages()) == 2 })
	if a := s.get("/api/v1/alerts/" + str(alert, "id")); a["state"] != "resolved" || str(a, "acked_by") == "" {
		t.Errorf("in the end the alert is %v", a)
	}
}

func TestJoinTokensAreRefusedWhenWrong(t *testing.T) {
	f := theFleet(t)
	s := script{t, f}
	made := s.do(http.StatusCreated, http.MethodPost, "/api/v1/servers", map[string]any{"name": "newcomer", "address": "127.9.9.9", "mailnode": false})
	token := str(made, "token")
	join := func(name string) (string, int) {
		dir := t.TempDir()
		return program(t, []string{"MAILFLEET_JOIN_TOKEN=" + token}, "mailfleet-agent", "join", "--dir", dir, "--controller", f.Info.Console, "--name", name)
	}
	if out, code := join("somebody-else"); code != 1 || !strings.Contains(out, "is for server newcomer, not somebody-else") {
		t.Errorf("for another server: exit %d: %s", code, out)
	}
	if out, code := join("newcomer"); code != 0 {
		t.Fatalf("join: exit %d: %s", code, out)
	}
	if out, code := join("newcomer"); code != 1 || !strings.Contains(out, "was used") {
		t.Errorf("used twice: exit %d: %s", code, out)
	}
	if got := len(items(s.get("/api/v1/audit?action=server.join.refused"))); got < 2 {
		t.Errorf("the audit log has %d of 2 refusals", got)
	}
	s.do(http.StatusNoContent, http.MethodDelete, "/api/v1/servers/newcomer", nil)
}

func TestAForeignClientCertificateIsRefusedBeforeAnyHandler(t *testing.T) {
	f := theFleet(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := url.Parse("spiffe://elsewhere/server/" + string(f.Info.Servers[0].ID))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), URIs: []*url.URL{id},
		IsCA: true, BasicConstraintsValid: true, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	address := strings.TrimPrefix(f.Info.Console, "https://")
	for _, protocols := range [][]string{{"mailfleet-agent/1"}, {"http/1.1"}} {
		conn, err := tls.Dial("tcp", address, &tls.Config{
			InsecureSkipVerify: true, NextProtos: protocols,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
			},
		})
		if err == nil { // TLS 1.3 tells a client of a refusal with its first read
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			_, _ = conn.Write([]byte("GET /api/v1/status HTTP/1.1\r\nHost: x\r\n\r\n"))
			_, err = conn.Read(make([]byte, 1))
			_ = conn.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "remote error: tls") {
			t.Errorf("%v: not refused in the handshake: %v", protocols, err)
		}
	}
}

func TestAnOutsideProgramWritesSamples(t *testing.T) {
	f := theFleet(t)
	name := f.Info.Servers[0].Name
	body := fmt.Sprintf("room,server=%s temperature=21.5\nthis is not a line\nroom,server=%s humidity=40i\n", name, name)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.Info.Console+"/api/v2/write?org=o&bucket=b", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Token "+f.Info.Token)
	res, err := f.HTTP().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	var refused struct {
		Code, Message string
		Line          int
	}
	err = json.NewDecoder(res.Body).Decode(&refused)
	fleettest.Drain(res.Body)
	if err != nil || res.StatusCode != http.StatusBadRequest || refused.Line != 2 && !strings.Contains(refused.Message, "2") {
		t.Errorf("the bad line is not named: %s %+v %v", res.Status, refused, err)
	}
	names, _ := script{t, f}.get("/api/v1/servers/" + name + "/samples")["metrics"].([]any)
	for _, want := range []string{"room_temperature", "room_humidity"} {
		if !slices.Contains(names, any(want)) {
			t.Errorf("the good line with %s was lost: %v", want, names)
		}
	}
}

func TestTheCommandLineAsksTheFleet(t *testing.T) {
	f := theFleet(t)
	out, code := program(t, nil, "mailfleet-controller", "server", "list", "--dev", f.Dir)
	if code != 0 || !strings.Contains(out, "mail1") || !strings.Contains(out, "up") {
		t.Errorf("server list: exit %d:\n%s", code, out)
	}
	out, code = program(t, nil, "mailfleet-controller", "operation", "show", string(inventory.NewID()), "--dev", f.Dir)
	if code != 1 || !strings.Contains(out, "there is no operation") {
		t.Errorf("operation show of nothing: exit %d:\n%s", code, out)
	}
}
