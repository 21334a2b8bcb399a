package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/inventory"
)

// fakeFleet is a Fleet that has the store and no agents.
type fakeFleet struct {
	store inventory.Store

	mu     sync.Mutex
	joins  int
	broken error // what Log answers with
	panics bool
	log    *io.PipeWriter // of the log that was followed last
}

func (f *fakeFleet) Add(ctx context.Context, actor inventory.Actor, req api.NewServer) (out api.Enrolment, err error) {
	if err := inventory.CheckName("name", req.Name); err != nil {
		return out, err
	}
	err = f.store.Update(ctx, func(tx inventory.Tx) error {
		s := &inventory.Server{Name: req.Name, Address: req.Address, Region: req.Region, Labels: req.Labels, State: inventory.ServerJoining}
		if err := tx.Servers().Create(s); err != nil {
			return err
		}
		out = api.Enrolment{Server: api.Server{Server: *s}, Token: "secret-join-token", Expires: time.Now().Add(time.Hour), Command: "mailfleet-agent join"}
		if err := tx.Services().Create(&inventory.Service{Server: s.ID, Name: "mailnode", Kind: inventory.KindMailnode, Want: inventory.WantRunning}); err != nil {
			return err
		}
		return tx.Audit().Append(actor.Entry("server.add", inventory.Servers, string(s.ID)))
	})
	return out, err
}

func (f *fakeFleet) Invite(ctx context.Context, _ inventory.Actor, id inventory.ID) (out api.Enrolment, err error) {
	err = f.store.View(ctx, func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(id)
		if err == nil {
			out = api.Enrolment{Server: api.Server{Server: *s}, Token: "another-token"}
		}
		return err
	})
	return out, err
}

func (f *fakeFleet) update(ctx context.Context, id inventory.ID, version uint64, fn func(*inventory.Server)) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := tx.Servers().Get(id)
		if err != nil {
			return err
		}
		if version != 0 {
			s.Version = version
		}
		fn(s)
		return tx.Servers().Update(s)
	})
}

func (f *fakeFleet) Change(ctx context.Context, _ inventory.Actor, id inventory.ID, version uint64, req api.ServerChange) error {
	return f.update(ctx, id, version, func(s *inventory.Server) {
		if req.Region != nil {
			s.Region = *req.Region
		}
	})
}

func (f *fakeFleet) Remove(ctx context.Context, _ inventory.Actor, id inventory.ID, version uint64) error {
	return f.update(ctx, id, version, func(s *inventory.Server) { s.State = inventory.ServerRemoved })
}

func (f *fakeFleet) AddService(ctx context.Context, _ inventory.Actor, req api.NewService) (out *inventory.Service, err error) {
	err = f.store.Update(ctx, func(tx inventory.Tx) error {
		s, err := tx.Servers().Find("name", req.Server)
		if err != nil {
			return inventory.FieldErrorf("server", "there is no server %q", req.Server)
		}
		out = &inventory.Service{Server: s.ID, Name: req.Name, Kind: inventory.KindCommand, Want: inventory.WantRunning, ServiceConfig: inventory.ServiceConfig{Command: req.Command}}
		return tx.Services().Create(out)
	})
	return out, err
}

func (f *fakeFleet) RemoveService(ctx context.Context, _ inventory.Actor, id inventory.ID, _ uint64) error {
	return f.store.Update(ctx, func(tx inventory.Tx) error { return tx.Services().Delete(id) })
}

func (f *fakeFleet) Join(_ context.Context, _ string, req api.Join) (api.Joined, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.joins++
	if req.Token != "good" {
		return api.Joined{}, inventory.Errorf(inventory.Forbidden, "the join token is not known")
	}
	return api.Joined{Name: "mail-1"}, nil
}

var seen = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (f *fakeFleet) Live(inventory.ID) (bool, time.Time, []string) {
	return true, seen, []string{"gossip"}
}

func (f *fakeFleet) Log(_ context.Context, _ inventory.ID, service string, lines int) (agentapi.Log, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.panics {
		panic("the fleet fell over")
	}
	if f.broken != nil {
		return agentapi.Log{}, f.broken
	}
	if lines != 7 {
		return agentapi.Log{}, errors.New("not the lines that were asked for")
	}
	return agentapi.Log{Lines: []string{service + " started"}}, nil
}

func (f *fakeFleet) FollowLog(ctx context.Context, _ inventory.ID, service string, lines int) (*agentapi.LogStream, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken != nil {
		return nil, f.broken
	}
	r, w := io.Pipe()
	f.log = w
	context.AfterFunc(ctx, func() { _ = r.CloseWithError(ctx.Err()) })
	go func() { _, _ = fmt.Fprintf(w, "{\"line\":\"%s %d\"}\n\n", service, lines) }()
	return agentapi.NewLogStream(r), nil
}

func (f *fakeFleet) Crash(_ context.Context, _ inventory.ID, service string) (agentapi.Crash, error) {
	if service != "mailnode" {
		return agentapi.Crash{}, inventory.Errorf(inventory.NotFound, "service %s has not crashed", service)
	}
	return agentapi.Crash{Time: seen, Exit: "exit status 9", Restarts: 5, Lines: []string{"help"}}, nil
}

// writer is the agent's end of the log that was followed last.
func (f *fakeFleet) writer() *io.PipeWriter {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.log
}

func (f *fakeFleet) fail(err error, panics bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.panics = err, panics
}
