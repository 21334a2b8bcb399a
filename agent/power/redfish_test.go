package power

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory"
)

const (
	fishUser     = "root"
	fishPassword = "calvin & hobbes"
	fishToken    = "token-1"
	fishSystem   = "/redfish/v1/Systems/437XR1138R2"
)

// fish is a management controller that speaks Redfish as DMTF's mock-ups do.
type fish struct {
	*httptest.Server

	mu       sync.Mutex
	on       bool
	resets   []string
	sessions int      // open
	basic    bool     // it has no sessions
	allowed  []string // reset types; nil: as ActionInfo tells
	systems  int
	delay    time.Duration
	target   string // of the reset action, when not the right one
}

type body = map[string]any

func newFish(t *testing.T) *fish {
	f := &fish{systems: 1, allowed: []string{"On", "ForceOff", "GracefulShutdown", "GracefulRestart", "ForceRestart", "Nmi", "ForceOn", "PowerCycle"}}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(f.serve))
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.StartTLS()
	t.Cleanup(f.Close)
	return f
}

func (f *fish) pin() string {
	sum := sha256.Sum256(f.Certificate().Raw)
	return hex.EncodeToString(sum[:])
}

func (f *fish) driver(t *testing.T, password string) *redfish {
	t.Helper()
	d, err := newRedfish(api.OrderPower{Kind: inventory.PowerRedfish, Address: f.URL, User: fishUser, TLSPin: f.pin()}, password, nil)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (f *fish) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sent, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(sent))
	select {
	case <-r.Context().Done():
		panic(http.ErrAbortHandler) // an empty answer may reach one that has just given up
	case <-time.After(f.delay):
	}
	w.Header().Set("OData-Version", "4.0")
	path := strings.TrimSuffix(r.URL.Path, "/")
	if path == "/redfish" {
		reply(w, http.StatusOK, body{"v1": "/redfish/v1/"})
		return
	}
	if path == "/redfish/v1" {
		links := body{"Sessions": body{"@odata.id": "/redfish/v1/SessionService/Sessions"}}
		reply(w, http.StatusOK, body{"@odata.id": "/redfish/v1/", "@odata.type": "#ServiceRoot.v1_5_0.ServiceRoot", "Id": "RootService", "Name": "Root Service", "RedfishVersion": "1.6.0",
			"UUID": "92384634-2938-2342-8820-489239905423", "Systems": body{"@odata.id": "/redfish/v1/Systems"},
			"SessionService": body{"@odata.id": "/redfish/v1/SessionService"}, "Links": links})
		return
	}
	if path == "/redfish/v1/SessionService/Sessions" && r.Method == http.MethodPost {
		f.signIn(w, r)
		return
	}
	user, password, ok := r.BasicAuth()
	if !(ok && user == fishUser && password == fishPassword) && r.Header.Get("X-Auth-Token") != fishToken {
		reply(w, http.StatusUnauthorized, body{"error": body{"message": "no"}})
		return
	}
	f.resource(w, r, path)
}

func (f *fish) signIn(w http.ResponseWriter, r *http.Request) {
	var in struct{ UserName, Password string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	switch {
	case f.basic:
		reply(w, http.StatusNotFound, body{})
	case in.UserName != fishUser || in.Password != fishPassword:
		reply(w, http.StatusUnauthorized, body{"error": body{"message": "wrong password " + in.Password}})
	default:
		f.sessions++
		w.Header().Set("X-Auth-Token", fishToken)
		w.Header().Set("Location", "/redfish/v1/SessionService/Sessions/1")
		reply(w, http.StatusCreated, body{"@odata.id": "/redfish/v1/SessionService/Sessions/1", "Id": "1", "Name": "Session", "UserName": fishUser})
	}
}

func (f *fish) resource(w http.ResponseWriter, r *http.Request, path string) {
	switch path {
	case "/redfish/v1/SessionService":
		reply(w, http.StatusOK, body{"@odata.id": path, "Id": "SessionService", "Name": "Session Service", "ServiceEnabled": true, "SessionTimeout": 300, "Sessions": body{"@odata.id": path + "/Sessions"}})
	case "/redfish/v1/SessionService/Sessions/1":
		f.sessions--
		w.WriteHeader(http.StatusNoContent)
	case "/redfish/v1/Systems":
		members := slices.Repeat([]body{{"@odata.id": fishSystem}}, f.systems)
		reply(w, http.StatusOK, body{"@odata.id": path, "@odata.type": "#ComputerSystemCollection.ComputerSystemCollection", "Name": "Systems", "Members": members, "Members@odata.count": len(members)})
	case fishSystem:
		reply(w, http.StatusOK, f.system())
	case fishSystem + "/ResetActionInfo":
		reply(w, http.StatusOK, body{"Id": "ResetActionInfo", "Name": "Reset", "Parameters": []body{{"Name": "ResetType", "Required": true, "DataType": "String", "AllowableValues": []string{"ForceOn", "ForceOff", "ForceRestart"}}}})
	case fishSystem + "/Actions/ComputerSystem.Reset":
		f.reset(w, r)
	default:
		reply(w, http.StatusNotFound, body{"error": body{"message": "there is no " + path}})
	}
}

func (f *fish) system() body {
	state := "Off"
	if f.on {
		state = "On"
	}
	target := fishSystem + "/Actions/ComputerSystem.Reset"
	if f.target != "" {
		target = f.target
	}
	action := body{"target": target}
	if f.allowed != nil {
		action["ResetType@Redfish.AllowableValues"] = f.allowed
	} else {
		action["@Redfish.ActionInfo"] = fishSystem + "/ResetActionInfo"
	}
	return body{"@odata.id": fishSystem, "@odata.type": "#ComputerSystem.v1_10_0.ComputerSystem", "Id": "437XR1138R2", "Name": "mail1", "SystemType": "Physical",
		"PowerState": state, "Boot": body{"BootSourceOverrideEnabled": "Disabled"}, "Status": body{"State": "Enabled", "Health": "OK"}, "Actions": body{"#ComputerSystem.Reset": action},
		"Links": body{"Chassis": []body{}, "ManagedBy": []body{}}}
}

func (f *fish) reset(w http.ResponseWriter, r *http.Request) {
	var in struct{ ResetType string }
	_ = json.NewDecoder(r.Body).Decode(&in)
	if f.allowed != nil && !slices.Contains(f.allowed, in.ResetType) {
		reply(w, http.StatusBadRequest, body{"error": body{"code": "Base.1.0.GeneralError", "message": "A general error has occurred.",
			"@Message.ExtendedInfo": []body{{"Message": "The value " + in.ResetType + " is not acceptable."}}}})
		return
	}
	f.resets = append(f.resets, in.ResetType)
	f.on = in.ResetType != "ForceOff"
	w.WriteHeader(http.StatusNoContent)
}

func reply(w http.ResponseWriter, code int, b body) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(b)
}

func TestRedfishSwitchesASystem(t *testing.T) {
	f := newFish(t)
	walk(t, f.driver(t, fishPassword))
	if want := []string{"On", "PowerCycle", "ForceOff", "On"}; !slices.Equal(f.resets, want) {
		t.Errorf("resets %v, want %v", f.resets, want)
	}
	if f.sessions != 0 {
		t.Errorf("%d sessions are left behind", f.sessions)
	}
	f.basic, f.allowed, f.resets, f.on = true, nil, nil, false // an older one
	walk(t, f.driver(t, fishPassword))
	if want := []string{"ForceOn", "ForceRestart", "ForceOff", "ForceOn"}; !slices.Equal(f.resets, want) {
		t.Errorf("resets %v, want %v", f.resets, want)
	}
}

func TestRedfishFaultsAreOneSentence(t *testing.T) {
	f := newFish(t)
	refuses(t, f.driver(t, "wrong horse"), "wrong horse", `does not take the password of user "root"`)
	f.basic = true
	refuses(t, f.driver(t, "wrong horse"), "wrong horse", `does not take the password of user "root"`)
	f.basic, f.systems = false, 2
	refuses(t, f.driver(t, fishPassword), fishPassword, "has 2 Redfish systems")
	f.systems = 1

	d := f.driver(t, fishPassword)
	d.base.Path = "/redfish/v1/Systems/9"
	refuses(t, d, fishPassword, "there is no /redfish/v1/Systems/9")

	f.target = "https://elsewhere.example/steal"
	if err := f.driver(t, fishPassword).On(t.Context()); err == nil || !strings.Contains(err.Error(), "points to another host") {
		t.Errorf("a reset elsewhere: %v", err)
	}
	f.target, f.allowed = "", []string{"GracefulShutdown"}
	if err := f.driver(t, fishPassword).Off(t.Context()); !errors.Is(err, errUnsupported) {
		t.Errorf("a reset it does not allow: %v", err)
	}
	other, err := newRedfish(api.OrderPower{Kind: inventory.PowerRedfish, Address: f.URL, TLSPin: strings.Repeat("ab", 32)}, fishPassword, nil)
	if err != nil {
		t.Fatal(err)
	}
	refuses(t, other, fishPassword, "not the one that was pinned")
	if other, err = newRedfish(api.OrderPower{Kind: inventory.PowerRedfish, Address: f.URL}, fishPassword, x509.NewCertPool()); err != nil {
		t.Fatal(err)
	}
	refuses(t, other, fishPassword, "is not trusted")
	f.delay = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := f.driver(t, fishPassword).Status(ctx); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("a slow one: %v", err)
	}
}

func TestDebiansRedfishClientsTakeTheFakeForReal(t *testing.T) {
	tool := peers.Find(t, "redfishtool", "redfishtool")
	f := newFish(t)
	host := strings.TrimPrefix(f.URL, "https://")
	said := output(t, tool, "-r", host, "-S", "Always", "-A", "Basic", "-u", fishUser, "-p", fishPassword, "Systems", "-I", "437XR1138R2", "reset", "On")
	if !f.on {
		t.Errorf("redfishtool switched nothing: %s", said)
	}
	if s := status(t, f.driver(t, fishPassword)); s != inventory.PowerOn {
		t.Errorf("%s, when redfishtool switched it on", s)
	}
	script := filepath.Join(t.TempDir(), "switch.py")
	text := `import os, sys
for name in "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE":
    os.environ.pop(name, None)  # they would outdo verify=False
import sushy, urllib3
urllib3.disable_warnings()
root = sushy.Sushy(sys.argv[1], username=sys.argv[2], password=sys.argv[3], verify=False)
system = root.get_system(sys.argv[4])
assert str(system.power_state).lower().endswith("on"), system.power_state
system.reset_system(sushy.RESET_FORCE_OFF)
`
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("/usr/lib/python3/dist-packages/sushy"); err != nil {
		peers.Find(t, "python3-sushy", "sushy")
	}
	output(t, "/usr/bin/python3", script, f.URL, fishUser, fishPassword, fishSystem)
	if s := status(t, f.driver(t, fishPassword)); s != inventory.PowerOff {
		t.Errorf("%s, when sushy switched it off", s)
	}
}

// FuzzRedfishAnswers gives every resource the same bytes: whatever they are,
// nothing outside the host is asked and the password is in no error.
func FuzzRedfishAnswers(f *testing.F) {
	for _, seed := range []string{
		`{"Systems":{"@odata.id":"/x"},"Members":[{"@odata.id":"/y"}],"PowerState":"On","Actions":{"#ComputerSystem.Reset":{"target":"/z"}}}`,
		`{"Systems":{"@odata.id":"//elsewhere/x"}}`, `{"error":{"message":"calvin & hobbes"}}`, `[]`, `{"Systems":{"@odata.id":"%zz"}}`,
	} {
		f.Add(http.StatusOK, []byte(seed))
	}
	f.Add(http.StatusTeapot, []byte(`{"error":{"message":"calvin & hobbes"}}`))
	f.Fuzz(func(t *testing.T, code int, answer []byte) {
		if code < 200 || code > 599 {
			t.Skip()
		}
		d, err := newRedfish(api.OrderPower{Kind: inventory.PowerRedfish, Address: "https://bmc.example"}, fishPassword, nil)
		if err != nil {
			t.Fatal(err)
		}
		d.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			if r.URL.Host != "bmc.example" {
				t.Fatalf("asked %s", r.URL)
			}
			w := httptest.NewRecorder()
			w.Header().Set("X-Auth-Token", "t")
			w.WriteHeader(code)
			_, _ = w.Write(answer)
			return w.Result(), nil
		})
		if err := d.Cycle(t.Context()); err != nil && strings.Contains(err.Error(), fishPassword) {
			t.Fatalf("the password is told: %v", err)
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
