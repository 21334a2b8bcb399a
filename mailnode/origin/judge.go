package origin

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/resolve"
)

// New returns a judge.
func New(s Settings, r Resolver) *Judge {
	if s.Timeout <= 0 {
		s.Timeout = 20 * time.Second
	}
	if s.Signatures <= 0 || s.Signatures > 64 {
		s.Signatures = maxSignatures
	}
	var sealers []string
	for _, domain := range s.Sealers { // as they are compared
		if name, err := domainName(domain); err == nil {
			sealers = append(sealers, name)
		}
	}
	s.Sealers = sealers
	return &Judge{settings: s, resolver: r, now: time.Now, percent: func() int { return rand.IntN(100) }}
}

// Message is what is known of a message beside its bytes.
type Message struct {
	Peer netip.Addr
	Helo string
	From string // reverse-path; "" is the null one
	SPF  *SPF   // when it was checked before; nil: it is checked at the end
}

// Check is the verification of one message. The message is written to it as it comes
// in, line ends as CRLF and without the dots of SMTP; then Finish is called. One that
// is given up needs nothing done.
type Check struct {
	j          *Judge
	m          Message
	header     header
	begun      bool
	from       []string // domains
	fromErr    error
	signatures []*signature
	seals      seals
	bodies     [2]*bodyHash // simple, relaxed; nil when no signature wants it
}

// Begin starts to verify a message.
func (j *Judge) Begin(m Message) *Check { return &Check{j: j, m: m} }

// Judge verifies a whole message. It fails only when reading does.
func (j *Judge) Judge(ctx context.Context, m Message, r io.Reader) (Verdict, error) {
	c := j.Begin(m)
	if _, err := io.Copy(c, r); err != nil {
		return Verdict{}, err
	}
	return c.Finish(ctx), nil
}

// Write takes a part of the message. It never fails.
func (c *Check) Write(p []byte) (int, error) {
	n := len(p)
	if !c.begun {
		p = c.header.add(p)
		if !c.header.done {
			return n, nil
		}
		c.begin()
	}
	for _, b := range c.bodies { // none when the header is broken
		if b != nil {
			_, _ = b.Write(p) // never fails
		}
	}
	return n, nil
}

// begin is called when the header is there: it finds the signatures that are to be
// verified, those of the authors' own domains before others.
func (c *Check) begin() {
	c.begun = true
	if c.fromErr = c.header.broken; c.fromErr != nil {
		return
	}
	c.from, c.fromErr = fromDomains(c.header.fields)
	now := c.j.now()
	for _, f := range c.header.fields {
		if f.name == "dkim-signature" && len(c.signatures) < 10*maxSignatures {
			c.signatures = append(c.signatures, parseSignature(f, now))
		}
	}
	slices.SortStableFunc(c.signatures, func(a, b *signature) int { return c.distance(a) - c.distance(b) })
	c.signatures = c.signatures[:min(len(c.signatures), c.j.settings.Signatures)]
	c.seals = findSeals(c.header.fields, now)
	for _, s := range c.signatures {
		c.wantBody(s)
	}
	if c.seals.message != nil {
		c.wantBody(c.seals.message)
	}
}

// wantBody has the body hashed in the form that a signature needs.
func (c *Check) wantBody(s *signature) {
	kind := 0
	if s.relaxedBody {
		kind = 1
	}
	if s.Result == "" && c.bodies[kind] == nil {
		c.bodies[kind] = newBodyHash(s.relaxedBody)
	}
}

func (c *Check) distance(s *signature) int {
	if s.Domain != "" && slices.ContainsFunc(c.from, func(d string) bool { return aligned(s.Domain, d, false) }) {
		return 0
	}
	return 1
}

// answers are what the DNS said about one message.
type answers struct {
	mu   sync.Mutex
	keys map[string]answer // by name
	spf  SPF
	rows []dmarcRecord // as c.from
	errs []error
}

type answer struct {
	txts []string
	err  error
}

// Finish asks the DNS and decides. The message has come in whole.
func (c *Check) Finish(ctx context.Context) Verdict {
	if !c.begun {
		c.header.end()
		c.begin()
	}
	ctx, cancel := context.WithTimeout(ctx, c.j.settings.Timeout)
	defer cancel()
	a := c.ask(ctx)
	v := Verdict{SPF: a.spf}
	sums := c.sums()
	index := named(c.header.fields)
	for _, s := range c.signatures {
		s.answer(a.keys[s.keyName()], c.header.fields, index, sums)
		v.DKIM = append(v.DKIM, s.DKIM)
	}
	v.ARC = c.seals.verify(a.keys, c.header.fields, index, sums)
	v.ARC.Trusted = v.ARC.Result == Pass && slices.Contains(c.j.settings.Sealers, v.ARC.Domain)
	v.DMARC = c.decide(v, a)
	v.Header = v.field(c.j.settings.ID)
	return v
}

// ask puts all questions at once.
func (c *Check) ask(ctx context.Context) *answers {
	a := &answers{keys: map[string]answer{}, rows: make([]dmarcRecord, len(c.from)), errs: make([]error, len(c.from))}
	var wg sync.WaitGroup
	if c.m.SPF != nil {
		a.spf = *c.m.SPF
	} else {
		wg.Go(func() { a.spf = c.j.SPF(ctx, c.m.Peer, c.m.Helo, c.m.From) })
	}
	for i, d := range c.from {
		wg.Go(func() { a.rows[i], a.errs[i] = c.j.lookupDMARC(ctx, d) })
	}
	names := map[string]bool{}
	for _, s := range c.signatures {
		if s.Result == "" {
			names[s.keyName()] = true
		}
	}
	for _, s := range c.seals.all() {
		names[s.keyName()] = true
	}
	for name := range names {
		wg.Go(func() {
			txts, err := c.j.query(ctx, name)
			a.mu.Lock()
			defer a.mu.Unlock()
			a.keys[name] = answer{txts, err}
		})
	}
	wg.Wait()
	return a
}

func (s *signature) keyName() string { return s.Selector + "._domainkey." + s.Domain }

// sums are the hashes of the body, in simple and in relaxed form.
func (c *Check) sums() (sums [2][]byte) {
	for i, b := range c.bodies {
		if b != nil {
			sums[i] = b.finish()
		}
	}
	return sums
}

// answer verifies a signature with what the DNS has of its key.
func (s *signature) answer(key answer, fields []field, index map[string][]int, sums [2][]byte) {
	if s.Result != "" {
		return
	}
	if err := key.failure(); err != nil {
		s.settle(err)
		return
	}
	sum := sums[0]
	if s.relaxedBody {
		sum = sums[1]
	}
	s.verify(key.txts, fields, index, sum)
}

func (a answer) failure() error {
	switch {
	case a.err == nil:
		return nil
	case resolve.NotFound(a.err):
		return perm("there is no key record")
	}
	return verdictError{TempError, "the DNS could not be asked for the key"}
}

// decide is the DMARC verdict over all domains in From.
func (c *Check) decide(v Verdict, a *answers) DMARC {
	if c.fromErr != nil {
		return DMARC{Result: PermError, Reason: c.fromErr.Error()}
	}
	drawn := c.j.percent()
	var all []DMARC
	for i, domain := range c.from {
		if a.errs[i] != nil {
			all = append(all, DMARC{Result: TempError, Domain: domain, Reason: "the DNS could not be asked what " + domain + " wants done"})
			continue
		}
		d := a.rows[i].evaluate(domain, v.SPF, v.DKIM)
		d.sample(a.rows[i].percent, drawn)
		all = append(all, d)
	}
	worst := all[0]
	for _, d := range all[1:] {
		if d.worse(worst) {
			worst = d
		}
	}
	return worst
}

// Action is what a receiving domain does at most with a message that is not what it
// says, and what is done with one.
type Action string

// The actions, each more than the one before.
const (
	Accept     Action = "none"
	Mark       Action = "mark"       // deliver it, with a mark that users see
	Quarantine Action = "quarantine" // keep it apart
	Refuse     Action = "refuse"     // do not take it
)

var actions = []Action{Accept, Mark, Quarantine, Refuse}

// Check tells whether a is an action.
func (a Action) Check() error {
	if !slices.Contains(actions, a) {
		return fmt.Errorf("%q is no action: it must be none, mark, quarantine or refuse", string(a))
	}
	return nil
}

// Verdict is what is known of a message's origin.
type Verdict struct {
	SPF    SPF
	DKIM   []DKIM // of the signatures that were verified
	DMARC  DMARC
	ARC    ARC
	Header string // the Authentication-Results field, with its last line end
}

// Temporary tells whether asking again later may give another verdict. A refusal is
// then one for now.
func (v Verdict) Temporary() bool { return v.DMARC.Result == TempError }

// Disposition is what a domain does with the message whose setting allows at most
// this. What the sender's domain does not ask for is not done.
func (v Verdict) Disposition(setting Action) Action {
	wanted := Accept
	switch d := v.DMARC; {
	case d.Result == PermError: // no valid From: nobody can say whose it is
		wanted = Refuse
	case d.Result == Fail && v.ARC.Trusted && v.ARC.Passed: // it was right when it came to whom we trust
	case d.Result == Fail && d.Applied == "reject":
		wanted = Refuse
	case d.Result == Fail && d.Applied == "quarantine":
		wanted = Quarantine
	case d.Result == TempError && d.Applied == "reject":
		if wanted = Mark; setting == Refuse {
			wanted = Refuse // for now
		}
	case d.Result == TempError && d.Applied == "quarantine":
		wanted = Mark
	case d.Result == None && v.SPF.Result == Fail:
		wanted = Mark // what is forwarded fails, too
	}
	return actions[min(slices.Index(actions, wanted), max(0, slices.Index(actions, setting)))]
}

// Refusal is the answer for a message that is refused (RFC 7372).
func (v Verdict) Refusal() *envelope.Refusal {
	d := v.DMARC
	switch d.Result {
	case TempError:
		return &envelope.Refusal{Code: 451, Enhanced: "4.7.26", Text: "whether " + d.Domain + " sent this message cannot be found out now: try again later"}
	case PermError:
		return &envelope.Refusal{Code: 550, Enhanced: "5.7.1", Text: d.Reason + ", so nobody can say who sent it: send it with one From field"}
	}
	return &envelope.Refusal{
		Code: 550, Enhanced: "5.7.26",
		Text: "the domain " + d.Domain + " wants messages refused that neither SPF nor DKIM shows to be its own: send through its servers or sign with its key",
	}
}
