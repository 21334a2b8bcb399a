package sms

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailfleet/inventory"
)

func text(to string) *inventory.SMS { return New(to, "text to "+to, time.Now()) }

func TestOutboxSendsAndCountsTheAttemptFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var got []Message
		stop := running(t, q, func(_ context.Context, m Message) error {
			if s := q.get(m.ID); s.Attempts != 1 || s.State != inventory.SMSQueued || s.Gateway != "test" || !s.Next.After(time.Now().Add(sendTimeout)) {
				t.Errorf("while it is sent the queue has %+v", s)
			}
			got = append(got, m)
			return nil
		})
		synctest.Wait() // the outbox is idle
		queued := time.Now()
		id := q.add(New("110", "严重", queued), "")
		time.Sleep(readPause)
		synctest.Wait()
		s := q.get(id)
		if s.State != inventory.SMSSent || s.Attempts != 1 || s.Error != "" || s.Sent.Sub(queued) > readPause {
			t.Errorf("after: %+v", s)
		}
		want := Message{ID: id, To: "110", Text: "严重", Encoding: UCS2, Parts: 1, Attempt: 1}
		if len(got) != 1 || got[0] != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		stop()
	})
}

func TestOutboxBacksOffAndGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		alert              inventory.ID
		life               time.Duration
		least, most        int // attempts
		wantError, noError string
	}{
		"a text":      {"", Life, 235, 365, "given up after 24 hours and ", ""},
		"of an alert": {"alert", AlertLife, 60, 100, "given up after 6 hours and ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemory()
				var tried []time.Time
				stop := running(t, q, func(_ context.Context, m Message) error {
					tried = append(tried, time.Now())
					if m.Attempt != len(tried) {
						t.Errorf("attempt %d says it is %d", len(tried), m.Attempt)
					}
					return inventory.Fail("the gateway is %s", "away")
				})
				message := text("110")
				message.Alert = c.alert
				id := q.add(message, "")
				queued := time.Now()
				time.Sleep(c.life - time.Minute)
				synctest.Wait()
				if s := q.get(id); s.State != inventory.SMSQueued || s.Error != "the gateway is away" {
					t.Errorf("shortly before: %+v", s)
				}
				time.Sleep(MaxDelay * 2)
				synctest.Wait()
				s := q.get(id)
				if s.State != inventory.SMSFailed || !strings.HasPrefix(s.Error, c.wantError) || !strings.HasSuffix(s.Error, "the gateway is away") {
					t.Errorf("after its life: %+v", s)
				}
				if last := s.Said.Within[3]; last.Template != "the gateway is {1}" || s.Said.String() != s.Error {
					t.Errorf("for another language it is %+v", s.Said)
				}
				if len(tried) < c.least || len(tried) > c.most || s.Attempts != len(tried) {
					t.Errorf("%d attempts, %d counted, want %d to %d", len(tried), s.Attempts, c.least, c.most)
				}
				last := queued
				for i, at := range tried {
					nominal := 0 * time.Second
					if i > 0 {
						nominal = min(FirstDelay<<min(i-1, 10), MaxDelay)
					}
					pause := at.Sub(last)
					if pause < nominal*8/10 || pause > nominal*12/10+2*readPause {
						t.Errorf("attempt %d after a pause of %s, want about %s", i+1, pause, nominal)
					}
					last = at
				}
				stop()
			})
		})
	}
}

func TestOutboxForgetsNothingOverASlowGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		stop := running(t, q, func(context.Context, Message) error {
			time.Sleep(time.Second)
			return errors.New("the gateway is away")
		})
		id := q.add(text("110"), "")
		time.Sleep(3 * time.Hour)
		if s := q.get(id); s.Attempts < 30 {
			t.Errorf("%d attempts in three hours", s.Attempts)
		}
		stop()
	})
}

func TestOutboxGivesUpWhatWaitedTooLongUntried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		id := q.add(text("110"), "")
		time.Sleep(Life)
		stop := running(t, q, func(_ context.Context, m Message) error {
			t.Error("it was sent")
			return nil
		})
		synctest.Wait()
		if s := q.get(id); s.State != inventory.SMSFailed || !strings.Contains(s.Error, "not tried") || s.Attempts != 0 {
			t.Errorf("got %+v", s)
		}
		stop()
	})
}

func TestOutboxDoesNotTryAgainWhatIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		calls := 0
		stop := running(t, q, func(context.Context, Message) error {
			calls++
			return Permanent(errors.New("no such number"))
		})
		id := q.add(text("110"), "")
		time.Sleep(time.Hour)
		if s := q.get(id); s.State != inventory.SMSFailed || s.Error != "no such number" || calls != 1 {
			t.Errorf("%d calls, %+v", calls, s)
		}
		stop()
	})
}

func TestOutboxSendsTheMostUrgentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var want []string
		for i, severity := range []inventory.Severity{inventory.Info, inventory.Warning, inventory.Critical, inventory.Info, "", inventory.Critical} {
			q.add(text(fmt.Sprint(i)), severity)
		}
		want = []string{"2", "5", "1", "4", "0", "3"}
		var mu sync.Mutex
		var got []string
		release := make(chan struct{})
		// Four are taken at a time; what is taken first says what was urgent.
		stop := running(t, q, func(_ context.Context, m Message) error {
			mu.Lock()
			got = append(got, m.To)
			mu.Unlock()
			<-release
			return nil
		})
		synctest.Wait()
		slices.Sort(got)
		if first := []string{"1", "2", "4", "5"}; !slices.Equal(got, first) {
			t.Errorf("first %q, want %q", got, first)
		}
		late := q.add(text("late"), inventory.Critical)
		time.Sleep(readPause) // noticed
		synctest.Wait()
		release <- struct{}{}
		synctest.Wait()
		if len(got) != 5 || got[4] != "late" {
			t.Errorf("a critical text that came late waits behind less urgent ones: %q", got)
		}
		close(release)
		synctest.Wait()
		if s := q.get(late); s.State != inventory.SMSSent || len(got) != len(want)+1 {
			t.Errorf("%q sent, %+v", got, s)
		}
		stop()
	})
}

func TestPlanOrders(t *testing.T) {
	now := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	entry := func(id, alert, to string, severity inventory.Severity, next time.Duration) Entry {
		return Entry{SMS: &inventory.SMS{Meta: inventory.Meta{ID: inventory.ID(id)}, Alert: inventory.ID(alert), To: to, Next: now.Add(next)}, Severity: severity}
	}
	ready, wake := plan([]Entry{
		entry("9", "", "110", inventory.Critical, 0),
		entry("1", "", "110", inventory.Info, 0),
		entry("2", "", "110", "", 0),
		entry("3", "", "110", inventory.Warning, -time.Hour),
		entry("4", "a", "110", inventory.Critical, time.Minute),   // waits
		entry("5", "a", "110", inventory.Critical, 0),             // behind 4
		entry("6", "a", "119", inventory.Critical, 0),             // another phone
		entry("7", "", "110", inventory.Critical, 30*time.Second), // waits
		entry("8", "", "110", inventory.Critical, 0),              // being sent
		entry("a", "b", "110", inventory.Critical, 12*time.Hour),  // the clock was set back
	}, map[inventory.ID]struct{}{"8": {}}, now)
	var got []string
	for _, e := range ready {
		got = append(got, string(e.ID))
	}
	if want := []string{"6", "9", "a", "2", "3", "1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !wake.Equal(now.Add(30 * time.Second)) {
		t.Errorf("wake at %s", wake)
	}
}

func TestOutboxSendsAtMostFourAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		for i := range 50 {
			q.add(text(fmt.Sprint(i)), "")
		}
		var mu sync.Mutex
		now, most := 0, 0
		stop := running(t, q, func(context.Context, Message) error {
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			time.Sleep(time.Second)
			mu.Lock()
			now--
			mu.Unlock()
			return nil
		})
		time.Sleep(14 * time.Second)
		synctest.Wait()
		if most != concurrency {
			t.Errorf("%d at a time, want %d", most, concurrency)
		}
		if left, err := q.Queued(t.Context()); err != nil || len(left) != 0 {
			t.Errorf("%d left after 14 s of 50 texts of 1 s, %v", len(left), err)
		}
		stop()
	})
}

func TestOutboxKeepsTheOrderOfAnAlertOnAPhone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var mu sync.Mutex
		var got []string
		away := true
		stop := running(t, q, func(_ context.Context, m Message) error {
			mu.Lock()
			defer mu.Unlock()
			if m.To == "110" && away {
				return errors.New("away")
			}
			got = append(got, m.To+" "+m.Text)
			return nil
		})
		about := func(to, what string) *inventory.SMS {
			s := New(to, what, time.Now())
			s.Alert = "alert"
			return s
		}
		q.add(about("110", "firing"), inventory.Critical)
		q.add(about("119", "firing"), inventory.Critical)
		time.Sleep(time.Minute)
		q.add(about("110", "resolved"), inventory.Critical)
		q.add(about("119", "resolved"), inventory.Critical)
		time.Sleep(time.Minute)
		mu.Lock()
		away = false
		mu.Unlock()
		time.Sleep(10 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if want := []string{"119 firing", "119 resolved", "110 firing", "110 resolved"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		stop()
	})
}

func TestOutboxReportFasterThanTheAnswer(t *testing.T) {
	for answer, err := range map[string]error{"taken": nil, "lost": errors.New("connection reset"), "refused": Permanent(errors.New("no"))} {
		t.Run(answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemory()
				calls := 0
				stop := running(t, q, func(ctx context.Context, m Message) error {
					calls++
					if err := q.Update(ctx, m.ID, func(s *inventory.SMS) error {
						Report{ID: m.ID, State: inventory.SMSDelivered}.Apply(s, time.Now())
						return nil
					}); err != nil {
						t.Error(err)
					}
					return err
				})
				id := q.add(text("110"), "")
				time.Sleep(time.Hour)
				if s := q.get(id); s.State != inventory.SMSDelivered || s.Error != "" || calls != 1 {
					t.Errorf("%d calls, %+v", calls, s)
				}
				stop()
			})
		})
	}
}

func TestOutboxAfterACrashDuringAnAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		crashed := text("110")
		crashed.Attempts, crashed.Next = 1, time.Now().Add(35*time.Second)
		id := q.add(crashed, "")
		began := time.Now()
		stop := running(t, q, func(_ context.Context, m Message) error {
			if waited := time.Since(began); m.Attempt != 2 || waited < 35*time.Second {
				t.Errorf("attempt %d after %s", m.Attempt, waited)
			}
			return nil
		})
		time.Sleep(time.Minute)
		if s := q.get(id); s.State != inventory.SMSSent || s.Attempts != 2 {
			t.Errorf("got %+v", s)
		}
		stop()
	})
}

func TestOutboxSurvivesItsQueue(t *testing.T) {
	for name, broken := range map[string]struct {
		what  string
		calls func(n int) bool // which calls of it fail
	}{
		"reading fails at first":        {"Queued", func(n int) bool { return n < 3 }},
		"counting the attempt fails":    {"Update", func(n int) bool { return n < 3 }},
		"storing the outcome fails":     {"Update", func(n int) bool { return n >= 1 && n < 5 }},
		"storing fails every other way": {"Update", func(n int) bool { return n%2 == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemory()
				n := 0
				q.fail = func(what string) error {
					if what != broken.what {
						return nil
					}
					n++
					if broken.calls(n - 1) {
						return errors.New("disk full")
					}
					return nil
				}
				calls := 0
				stop := running(t, q, func(context.Context, Message) error {
					calls++
					return nil
				})
				id := q.add(text("110"), "")
				time.Sleep(time.Minute)
				if s := q.get(id); s.State != inventory.SMSSent || calls != 1 {
					t.Errorf("%d calls, %+v", calls, s)
				}
				stop()
			})
		})
	}
}

func TestOutboxLeavesABrokenQueueAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		for i := range 100 {
			q.add(text(fmt.Sprint(i)), "")
		}
		updates := 0
		q.fail = func(what string) error {
			if what == "Update" {
				updates++
				return errors.New("disk full")
			}
			return nil
		}
		stop := running(t, q, func(context.Context, Message) error {
			t.Error("it was sent")
			return nil
		})
		time.Sleep(time.Minute)
		synctest.Wait()
		if most := int(time.Minute/retryPause) + 1; updates > most*concurrency*2 {
			t.Errorf("%d attempts in a minute at a queue that fails", updates)
		}
		stop()
	})
}

func TestOutboxDropsAMessageThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		stop := running(t, q, func(_ context.Context, m Message) error {
			q.remove(m.ID)
			return nil
		})
		id := q.add(text("110"), "")
		time.Sleep(time.Hour)
		if s := q.get(id); s.ID != "" {
			t.Errorf("it came back: %+v", s)
		}
		stop()
	})
}

func TestOutboxDoesNotSendWhatWasSettledMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		var ids []inventory.ID
		for i := range concurrency + 1 {
			ids = append(ids, q.add(text(fmt.Sprint(i)), ""))
		}
		last := ids[concurrency] // planned, waits for its turn
		release := make(chan struct{})
		stop := running(t, q, func(_ context.Context, m Message) error {
			if m.ID == last {
				t.Error("it was sent")
			}
			<-release
			return nil
		})
		synctest.Wait()
		if err := q.Update(t.Context(), last, func(s *inventory.SMS) error {
			s.State, s.Error = inventory.SMSFailed, "cancelled"
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		close(release) // before the queue is read again
		synctest.Wait()
		if s := q.get(last); s.State != inventory.SMSFailed || s.Attempts != 0 {
			t.Errorf("got %+v", s)
		}
		stop()
	})
}

func TestOutboxEndsAnAttemptThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newMemory()
		stop := running(t, q, func(ctx context.Context, m Message) error {
			if m.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		id := q.add(text("110"), "")
		time.Sleep(sendTimeout + time.Second)
		synctest.Wait()
		if s := q.get(id); s.State != inventory.SMSQueued || s.Error == "" {
			t.Errorf("after the timeout: %+v", s)
		}
		time.Sleep(2 * FirstDelay)
		if s := q.get(id); s.State != inventory.SMSSent || s.Attempts != 2 {
			t.Errorf("after the second attempt: %+v", s)
		}
		stop()
	})
}

func TestOutboxStopsWithCare(t *testing.T) {
	for name, c := range map[string]struct {
		takes, stopTakes time.Duration
		want             inventory.SMSState
	}{
		"an attempt that ends soon is noted": {3 * time.Second, 3 * time.Second, inventory.SMSSent},
		"one that hangs is ended":            {20 * time.Second, grace, inventory.SMSQueued},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newMemory()
				stop := running(t, q, func(ctx context.Context, _ Message) error {
					select {
					case <-time.After(c.takes):
						return nil
					case <-ctx.Done():
						return ctx.Err()
					}
				})
				time.Sleep(readPause)
				synctest.Wait() // the outbox is idle
				id := q.add(text("110"), "")
				synctest.Wait()
				began := time.Now()
				stop()
				if took := time.Since(began); took != c.stopTakes {
					t.Errorf("stopping took %s, want %s", took, c.stopTakes)
				}
				if s := q.get(id); s.State != c.want || s.Attempts != 1 {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}
