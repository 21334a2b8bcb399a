package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailfleet/controller/e2e/fleettest"
)

// kill9 kills the only process of the fleet whose command line has part.
func kill9(t *testing.T, f *fleettest.Fleet, part string) int {
	t.Helper()
	pids := f.Processes(part)
	if len(pids) != 1 {
		t.Fatalf("%d processes with %q in their command line", len(pids), part)
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	return pids[0]
}

// replaced waits until another process than old has part in its command line.
func replaced(t *testing.T, f *fleettest.Fleet, part string, old int) {
	t.Helper()
	eventually(t, "another process "+part, func() bool {
		pids := f.Processes(part)
		return len(pids) == 1 && pids[0] != old
	})
}

func upAgain(t *testing.T, s script, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d servers up", n), func() bool {
		code, _, list := s.try(http.MethodGet, "/api/v1/servers?state=up", nil)
		return code == http.StatusOK && len(items(list)) == n
	})
}

// TestKilledPrograms kills -9 each program in turn on one fleet.
func TestKilledPrograms(t *testing.T) {
	f := ownFleet(t, "--sample-interval", "1s")

	t.Run("agent: the mailnode goes on and the next agent knows it", func(t *testing.T) {
		s := script{t, f}
		mailnode := num(s.service("mail1", "mailnode"), "pid")
		agent := kill9(t, f, "run --dir "+f.Dir+"/servers/mail1 ")
		replaced(t, f, "run --dir "+f.Dir+"/servers/mail1 ", agent)
		upAgain(t, s, 3)
		eventually(t, "the mailnode known again", func() bool { return s.service("mail1", "mailnode")["state"] == "running" })
		if v := s.service("mail1", "mailnode"); num(v, "pid") != mailnode || num(v, "restarts") != 0 {
			t.Fatalf("the mailnode's pid was %v; now it is %v", mailnode, v)
		}
		if op := s.operate("service.restart", "mail1"); op["state"] != "succeeded" {
			t.Errorf("the new agent cannot restart what it adopted: %v", op)
		}
	})

	t.Run("mailnode under an adopting agent: it is noticed and started again", func(t *testing.T) {
		s := script{t, f}
		agent := kill9(t, f, "run --dir "+f.Dir+"/servers/mail2 ")
		replaced(t, f, "run --dir "+f.Dir+"/servers/mail2 ", agent)
		upAgain(t, s, 3)
		old := kill9(t, f, "servers/mail2/mailnode/config.json")
		eventually(t, "the mailnode started again", func() bool {
			v := s.service("mail2", "mailnode")
			return v["state"] == "running" && num(v, "pid") != 0 && num(v, "pid") != float64(old) && num(v, "restarts") == 1
		})
	})

	t.Run("controller: nothing is lost or doubled", func(t *testing.T) {
		s := script{t, f}
		rule := s.do(http.StatusCreated, http.MethodPost, "/api/v1/rules", map[string]any{
			"name": "during", "metric": "mem_used_percent", "comparison": ">", "value": 0.001, "for": "0s", "servers": []string{"mail3"},
		})
		_, _, op := s.try(http.MethodPost, "/api/v1/operations", map[string]any{
			"kind": "service.restart", "targets": []map[string]string{{"server": "mail3", "service": "mailnode"}},
		}, "Idempotency-Key", "across")
		began := time.Now()
		old := kill9(t, f, "serve --config")
		replaced(t, f, "serve --config", old)
		upAgain(t, s, 3)
		eventually(t, "mail3 connected again", func() bool { return s.get("/api/v1/servers/mail3")["connected"] == true })
		back := time.Now()
		if ended := s.outcome("/api/v1/operations/" + str(op, "id")); ended["state"] != "succeeded" {
			t.Errorf("the operation ended as %v", ended)
		}
		again := s.do(http.StatusAccepted, http.MethodPost, "/api/v1/operations", map[string]any{
			"kind": "service.restart", "targets": []map[string]string{{"server": "mail3", "service": "mailnode"}},
		}, "Idempotency-Key", "across")
		if again["id"] != op["id"] {
			t.Errorf("the operation was doubled: %v and %v", op["id"], again["id"])
		}
		firing := func() (n int) {
			for _, a := range items(s.get("/api/v1/alerts")) {
				if a["rule"] == rule["id"] {
					n++
				}
			}
			return n
		}
		eventually(t, "the alert", func() bool { return firing() == 1 })
		eventually(t, "one SMS for it", func() bool {
			n := 0
			for _, m := range items(s.get("/api/v1/sms")) {
				if strings.Contains(str(m, "text"), "mail3") && m["state"] == "sent" {
					n++
				}
			}
			return n == 1
		})
		kept(t, s, "mail3", began, back)
		if check := s.get("/api/v1/audit/verify"); check["intact"] != true {
			t.Errorf("the audit chain: %v", check)
		}
	})

	t.Run("a server that dies is declared down and comes back", func(t *testing.T) {
		s := script{t, f}
		// Stopped, not killed: the dev fleet would start a dead agent again.
		pids := f.Processes("run --dir " + f.Dir + "/servers/mail1 ")
		if len(pids) != 1 {
			t.Fatalf("agents of mail1: %v", pids)
		}
		if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		eventually(t, "mail1 down", func() bool { return s.get("/api/v1/servers/mail1")["state"] == "down" })
		if v := s.service("mail1", "mailnode"); v["state"] != "unknown" {
			t.Errorf("of a server that is down its mailnode is said to be %v", v["state"])
		}
		if err := syscall.Kill(pids[0], syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
		upAgain(t, s, 3)
		eventually(t, "its mailnode running", func() bool { return s.service("mail1", "mailnode")["state"] == "running" })
	})
}

// kept checks that a server's samples of a time when they could not be stored came later:
// at least half of them, as a machine that is busy with other tests takes its
// samples of every second late.
func kept(t *testing.T, s script, server string, from, to time.Time) {
	t.Helper()
	eventually(t, "the samples of the time they could not be stored", func() bool {
		answer := s.get(fmt.Sprintf("/api/v1/servers/%s/samples?metric=load_load1&from=%d&to=%d&step=1s&aggregate=last", server, from.Unix()+1, to.Unix()+1))
		series, _ := answer["series"].([]any)
		if len(series) != 1 {
			return false
		}
		one, _ := series[0].(map[string]any)
		points, _ := one["points"].([]any)
		return 2*len(points) >= int(to.Sub(from).Seconds())-1
	})
}
