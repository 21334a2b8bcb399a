package origin

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"mailfleet/controller/e2e/peers"
	"mailfleet/inventory/domainkey"
)

// nodePeers is the directory of npm's peers, which make peers installs.
const nodePeers = "../testdata/node"

type peerAsk struct {
	Message          []byte    `json:"message"`
	IP               string    `json:"ip,omitempty"`
	Helo             string    `json:"helo,omitempty"`
	Sender           string    `json:"sender,omitempty"`
	Keys             []peerKey `json:"keys,omitempty"`
	Canonicalization string    `json:"canonicalization,omitempty"`
	ARC              bool      `json:"arc,omitempty"`
	Seal             *peerKey  `json:"seal,omitempty"`
}

type peerKey struct {
	SigningDomain string `json:"signingDomain"`
	Selector      string `json:"selector"`
	PrivateKey    string `json:"privateKey"`
}

type peerAnswer struct {
	Signatures string `json:"signatures"`
	SPF        Result `json:"spf"`
	DKIM       []struct {
		Domain, Selector string
		Result           Result
	} `json:"dkim"`
	DMARC   Result `json:"dmarc"`
	Policy  string `json:"policy"`
	ARC     Result `json:"arc"`
	Headers string `json:"headers"`
}

// mailauth asks npm's mailauth, which uses the same DNS server.
func mailauth(t *testing.T, server string, asks []peerAsk) []peerAnswer {
	t.Helper()
	node := peers.Node(t, nodePeers, "mailauth")
	in, err := json.Marshal(map[string]any{"server": server, "asks": asks})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), node, "auth.mjs")
	cmd.Dir, cmd.Stdin, cmd.Stderr = nodePeers, bytes.NewReader(in), new(bytes.Buffer)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("mailauth: %v\n%s", err, cmd.Stderr)
	}
	var answers []peerAnswer
	if err := json.Unmarshal(out, &answers); err != nil || len(answers) != len(asks) {
		t.Fatalf("mailauth answered %d of %d: %v", len(answers), len(asks), err)
	}
	return answers
}

// Signatures made here are good there, and the other way round.
func TestMailauthSignatures(t *testing.T) {
	j, z, server := judging(t)
	publish(t, z, "example.org", keys(t))
	header, _, _ := strings.Cut(plain, "\r\n\r\n")
	var peers []peerKey
	for _, k := range keys(t) {
		pem, err := domainkey.Encode(k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		peers = append(peers, peerKey{"example.org", k.Selector, string(pem)})
	}
	var asks []peerAsk
	var names, messages []string
	for name, body := range bodies {
		if name == "a CR" || name == "ends with CR" {
			continue // mailauth takes a bare CR for an end of line
		}
		message := header + "\r\n\r\n" + body
		names, messages = append(names, name), append(messages, message)
		asks = append(asks, peerAsk{Message: []byte(sign(t, "example.org", keys(t), message)), IP: "192.0.2.1", Helo: "h.test", Sender: "a@example.org"})
	}
	forms := []string{"relaxed/relaxed", "simple/simple", "relaxed/simple", "simple/relaxed"}
	for _, form := range forms {
		for _, m := range messages {
			asks = append(asks, peerAsk{Message: []byte(m), Keys: peers, Canonicalization: form})
		}
	}
	answers := mailauth(t, server, asks)
	for i, name := range names {
		if got := answers[i].DKIM; len(got) != 2 || got[0].Result != Pass || got[1].Result != Pass {
			t.Errorf("mailauth says of what was signed here, %s: %v", name, got)
		}
	}
	for f, form := range forms {
		for i, name := range names {
			signatures := answers[len(names)*(1+f)+i].Signatures
			v := j.test(t, Message{}, signatures+messages[i])
			if !slices.Equal(results(v), []Result{Pass, Pass}) {
				t.Errorf("what mailauth signed, %s, %s: %+v", form, name, v.DKIM)
			}
		}
	}
}

func TestMailauthAgreesOnSPF(t *testing.T) {
	_, z, server := judging(t)
	spfZone(z)
	var asks []peerAsk
	for _, c := range spfCases {
		asks = append(asks, peerAsk{Message: []byte("From: a@b.test\r\n\r\n"), IP: c.ip, Helo: c.helo, Sender: c.from})
	}
	for i, got := range mailauth(t, server, asks) {
		if c := spfCases[i]; (got.SPF != c.want) != c.apart {
			t.Errorf("%s: mailauth says %s, here it is %s", c.name, got.SPF, c.want)
		}
	}
}

func TestMailauthAgreesOnDMARC(t *testing.T) {
	j, z, server := judging(t)
	dmarcZone(t, z)
	var asks []peerAsk
	for _, c := range dmarcCases {
		asks = append(asks, peerAsk{Message: []byte(dmarcMessage(t, c.from, c.signer)), IP: peer.String(), Helo: "h.test", Sender: c.sender})
	}
	for i, got := range mailauth(t, server, asks) {
		c := dmarcCases[i]
		if same := got.DMARC == c.want && (c.policy == "" || strings.EqualFold(got.Policy, c.policy)); same == c.apart {
			t.Errorf("%s: mailauth says %s of %q, here it is %s of %q", c.name, got.DMARC, got.Policy, c.want, c.policy)
		}
		// And once more here, as mailauth got it.
		v := j.test(t, Message{Peer: netip.MustParseAddr(asks[i].IP), Helo: asks[i].Helo, From: asks[i].Sender}, string(asks[i].Message))
		if v.DMARC.Result != c.want {
			t.Errorf("%s: here it is %s", c.name, v.DMARC.Result)
		}
	}
}
