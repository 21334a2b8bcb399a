package guard

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mailfleet/mailnode/envelope"
	"mailfleet/mailnode/store"
)

// Plan is what an account may send.
type Plan struct {
	Recipients int // of one message; 0 is no limit, here and below
	SentADay   int // recipients written to in a day

	MessagesAnHour int
	SentAnHour     int // recipients written to in an hour
}

// BrakeSettings say when the brake holds an account's mail.
type BrakeSettings struct {
	Off    bool    // nothing is held; limits count still
	Floor  int     // recipients in an hour that are never too many; 0 is 100
	Factor float64 // times its habit that are too many; 0 is 10
}

// Brake bounds what accounts send, and notices when one sends far more than it is used
// to, as one does whose password is in the wrong hands. It is safe for concurrent use.
type Brake struct {
	memo *memo
	log  *slog.Logger

	set   atomic.Pointer[BrakeSettings]
	locks [64]sync.Mutex // each of what is read and written of some of the accounts

	marks    sync.Mutex
	held     map[string]Hold      // by account
	released map[string]time.Time // accounts let go of late
}

// Hold tells why the mail of an account is held.
type Hold struct {
	Account string
	Since   time.Time
	Sent    int           // recipients of the burst, those of held mail too
	Over    time.Duration // from the burst's first message to its last
	Usual   float64       // recipients in an hour in which it sends at all
}

// lock keeps others from an account; the caller unlocks it.
func (b *Brake) lock(account string) *sync.Mutex {
	h := fnv.New32a()
	_, _ = h.Write([]byte(account)) // never fails
	mu := &b.locks[h.Sum32()%uint32(len(b.locks))]
	mu.Lock()
	return mu
}

// NewBrake returns a brake that keeps what it knows in a store.
func NewBrake(s BrakeSettings, st *store.Store, log *slog.Logger) *Brake {
	b := &Brake{memo: newMemo(st, "habits"), log: log.With("component", "brake"), held: map[string]Hold{}, released: map[string]time.Time{}}
	b.Configure(s)
	return b
}

// Configure changes the settings.
func (b *Brake) Configure(s BrakeSettings) {
	if s.Floor <= 0 {
		s.Floor = 100
	}
	if s.Factor <= 0 {
		s.Factor = 10
	}
	b.set.Store(&s)
}

// habitKept is how long an account is known that sends nothing.
const habitKept = 400 * 24 * time.Hour

// Run writes down what is to be remembered until ctx ends.
func (b *Brake) Run(ctx context.Context) error {
	return b.memo.run(ctx, b.log, func(now time.Time, account, value []byte) bool {
		h, ok := readHabit(value)
		if ok {
			b.mark(string(account), h)
		}
		return !ok || !h.held && now.Sub(time.Unix(h.hour*3600, 0)) > habitKept
	})
}

// Allowance is the answer about a message.
type Allowance struct {
	Refusal *envelope.Refusal // it is not taken now, or never
	Until   time.Time         // when a limit that was reached ends
	Hold    bool              // take it and keep it until somebody has looked
}

// Recipient is asked for a further recipient of a message that has so many already.
func (b *Brake) Recipient(ctx context.Context, account string, already int, p Plan) (Allowance, error) {
	if p.Recipients > 0 && already >= p.Recipients {
		return Allowance{Refusal: &envelope.Refusal{
			Code: 452, Enhanced: "4.5.3",
			Text: fmt.Sprintf("a message of yours may have %d recipients: send it to the others apart", p.Recipients),
		}}, nil
	}
	defer b.lock(account).Unlock()
	h, err := b.habit(ctx, account, b.memo.now())
	if err != nil {
		return Allowance{}, err
	}
	return h.allows(already+1, p), nil
}

// Message is asked for each message that an account has sent; it counts it when it
// is taken.
func (b *Brake) Message(ctx context.Context, account string, recipients int, p Plan) (Allowance, error) {
	now := b.memo.now()
	h, a, burst, err := b.count(ctx, account, recipients, p, now)
	if burst {
		b.log.Warn("an account sends far more than it is used to: its mail is held", "account", account, "recipients", h.inHour, "habit", math.Round(h.average))
	}
	return a, err
}

// count decides about a message and counts it.
func (b *Brake) count(ctx context.Context, account string, recipients int, p Plan, now time.Time) (h habit, a Allowance, burst bool, err error) {
	defer b.lock(account).Unlock()
	if h, err = b.habit(ctx, account, now); err != nil {
		return h, a, false, err
	}
	if a = h.allows(recipients, p); a.Refusal != nil {
		return h, a, false, nil
	}
	if h.messages == 0 {
		h.first = now.Unix()
	}
	h.messages++
	h.inHour += uint32(recipients)
	h.inDay += uint32(recipients)
	set := b.set.Load()
	most := max(float64(set.Floor), set.Factor*h.average)
	burst = !set.Off && !h.held && float64(h.inHour) > most+float64(h.allowed)
	switch {
	case burst:
		h.held, h.since, h.began, h.last, h.burst = true, now.Unix(), h.first, now.Unix(), h.inHour
	case h.held:
		h.last = now.Unix()
		h.burst += uint32(recipients)
	}
	a.Hold = h.held && !set.Off
	b.mark(account, h)
	return h, a, burst, b.memo.set([]byte(account), h.encode())
}

// mark notes whether the mail of an account is held, and why.
func (b *Brake) mark(account string, h habit) {
	b.marks.Lock()
	defer b.marks.Unlock()
	if !h.held {
		delete(b.held, account)
		return
	}
	delete(b.released, account)
	b.held[account] = Hold{
		Account: account, Since: time.Unix(h.since, 0).UTC(), Sent: int(h.burst),
		Over: time.Duration(h.last-h.began) * time.Second, Usual: h.average,
	}
}

// AllHeld are the accounts whose mail is held, sorted. After a start it takes a moment
// until they are all known.
func (b *Brake) AllHeld() []Hold {
	b.marks.Lock()
	defer b.marks.Unlock()
	return slices.SortedFunc(maps.Values(b.held), func(a, b Hold) int { return cmp.Compare(a.Account, b.Account) })
}

// releasedKept is how long it is known that an account was let go.
const releasedKept = 10 * time.Minute

// Released are the accounts that were let go in the last minutes, sorted: of others
// that are not held it is not certain, soon after a start, that they are not.
func (b *Brake) Released() []string {
	b.marks.Lock()
	defer b.marks.Unlock()
	maps.DeleteFunc(b.released, func(_ string, at time.Time) bool { return b.memo.now().Sub(at) > releasedKept })
	return slices.Sorted(maps.Keys(b.released))
}

// Held tells whether the mail of an account is held.
func (b *Brake) Held(ctx context.Context, account string) (bool, error) {
	defer b.lock(account).Unlock()
	h, err := b.habit(ctx, account, b.memo.now())
	return h.held, err
}

// Release lets an account send again. What it has sent in this hour is not held
// against it any more.
func (b *Brake) Release(ctx context.Context, account string) error {
	defer b.lock(account).Unlock()
	h, err := b.habit(ctx, account, b.memo.now())
	if err != nil {
		return err
	}
	was := h.held
	h.held, h.allowed = false, h.inHour
	h.since, h.began, h.last, h.burst = 0, 0, 0, 0
	b.mark(account, h)
	if was {
		b.marks.Lock()
		b.released[account] = b.memo.now()
		b.marks.Unlock()
	}
	return b.memo.set([]byte(account), h.encode())
}

// habit is what an account is used to.
type habit struct {
	hour, day int64  // that are counted, since 1970
	inHour    uint32 // recipients
	inDay     uint32
	allowed   uint32 // of the hour, by somebody who has looked
	average   float64
	held      bool

	messages uint32 // in the hour
	first    int64  // of them, when; since 1970 in seconds, here and below

	since       int64 // it is held
	began, last int64 // messages of the burst
	burst       uint32
}

// weight is how much an hour counts in the average. Hours without mail do not count:
// who sends a circular once a month is used to it.
const weight = 0.2

func (b *Brake) habit(ctx context.Context, account string, now time.Time) (habit, error) {
	v, err := b.memo.get(ctx, []byte(account))
	if err != nil {
		return habit{}, err
	}
	h, _ := readHabit(v)
	hour, day := now.Unix()/3600, now.Unix()/86400
	if h.hour != hour {
		// What was held is no habit.
		if h.inHour > 0 && !h.held {
			h.average += weight * (float64(h.inHour) - h.average)
			if h.allowed > 0 { // somebody found it right
				h.average = max(h.average, float64(h.inHour)/2)
			}
		}
		h.hour, h.inHour, h.allowed, h.messages, h.first = hour, 0, 0, 0, 0
	}
	if h.day != day {
		h.day, h.inDay = day, 0
	}
	return h, nil
}

// allows bounds what is sent in an hour and in a day. A user over a limit of a time is
// told when to go on, by a reply that keeps the message at their client: 450, "requested
// mail action not taken" for now (RFC 5321 §4.2.2), with 4.7.1, "delivery not authorized"
// for reasons of policy (RFC 3463 §3.8), as RFC 6409 §6.1 lets a submission server do.
func (h habit) allows(more int, p Plan) Allowance {
	hour, day := time.Unix((h.hour+1)*3600, 0).UTC(), time.Unix((h.day+1)*86400, 0).UTC()
	for _, l := range []struct {
		most, had, more int
		until           time.Time
		text            string
	}{
		{p.SentADay, int(h.inDay), more, day, "you may write to %d recipients a day and have written to %d: send the rest after %s"},
		{p.SentAnHour, int(h.inHour), more, hour, "you may write to %d recipients an hour and have written to %d: send the rest after %s"},
		{p.MessagesAnHour, int(h.messages), 1, hour, "you may send %d messages an hour and have sent %d: send the rest after %s"},
	} {
		if l.most > 0 && l.had+l.more > l.most {
			return Allowance{Until: l.until, Refusal: &envelope.Refusal{
				Code: 450, Enhanced: "4.7.1", Text: fmt.Sprintf(l.text, l.most, l.had, l.until.Format("2006-01-02 15:04 UTC")),
			}}
		}
	}
	return Allowance{}
}

// The forms of a stored habit. The first knew neither how many messages there were nor
// why it is held.
const (
	habitForm1, habitLen1 = 1, 38
	habitForm2, habitLen2 = 2, habitLen1 + 40
)

func (h habit) encode() []byte {
	b := []byte{habitForm2, 0}
	if h.held {
		b[1] = 1
	}
	b = binary.BigEndian.AppendUint64(b, uint64(h.hour))
	b = binary.BigEndian.AppendUint64(b, uint64(h.day))
	b = binary.BigEndian.AppendUint32(b, h.inHour)
	b = binary.BigEndian.AppendUint32(b, h.inDay)
	b = binary.BigEndian.AppendUint32(b, h.allowed)
	b = binary.BigEndian.AppendUint64(b, math.Float64bits(h.average))
	b = binary.BigEndian.AppendUint32(b, h.messages)
	b = binary.BigEndian.AppendUint32(b, h.burst)
	for _, at := range []int64{h.first, h.since, h.began, h.last} {
		b = binary.BigEndian.AppendUint64(b, uint64(at))
	}
	return b
}

func readHabit(b []byte) (h habit, ok bool) {
	second := len(b) == habitLen2 && b[0] == habitForm2
	if !second && !(len(b) == habitLen1 && b[0] == habitForm1) {
		return habit{}, false
	}
	h.held = b[1] == 1
	h.hour, h.day = int64(binary.BigEndian.Uint64(b[2:])), int64(binary.BigEndian.Uint64(b[10:]))
	h.inHour, h.inDay, h.allowed = binary.BigEndian.Uint32(b[18:]), binary.BigEndian.Uint32(b[22:]), binary.BigEndian.Uint32(b[26:])
	h.average = math.Float64frombits(binary.BigEndian.Uint64(b[30:]))
	if second {
		h.messages, h.burst = binary.BigEndian.Uint32(b[38:]), binary.BigEndian.Uint32(b[42:])
		for i, at := range []*int64{&h.first, &h.since, &h.began, &h.last} {
			*at = int64(binary.BigEndian.Uint64(b[46+8*i:]))
		}
	}
	return h, true
}
