package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humagin"

	agentapi "mailfleet/agent/api"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// maxTails is how many logs may be followed at once.
const maxTails = 200

func (s *Server) logRoutes() {
	add(s, operation{"get-service-log", http.MethodGet, "/servers/{id}/services/{name}/log", "The last lines a service wrote", inventory.Services, auth.Read, 0,
		"The server's agent is asked for them: 503 while it is away."}, s.serviceLog)
	add(s, operation{"follow-service-log", http.MethodGet, "/services/{id}/log", "The last lines a service wrote, and those it writes", inventory.Services, auth.Read, 0,
		"The server's agent is asked for them: 503 while it is away. With follow=true the answer is a stream of server-sent events (WHATWG HTML §9.2): line holds a LogLine, end says that there will be no more. " +
			"The stream ends with the session or token that opened it."}, s.followLog)
	add(s, operation{"get-service-crash", http.MethodGet, "/services/{id}/crash", "How a service last ended without being asked to", inventory.Services, auth.Read, 0,
		"With the last 200 lines of its output. It stays readable when the service runs again; 404 when it has not crashed."}, s.serviceCrash)
	o := s.api.OpenAPI()
	schemas := o.Components.Schemas
	o.Paths["/api/v1/services/{id}/log"].Get.Responses["200"].Content = map[string]*huma.MediaType{
		"application/json":  {Schema: schemas.Schema(reflect.TypeFor[api.Log](), true, "")},
		"text/event-stream": {Schema: schemas.Schema(reflect.TypeFor[api.LogLine](), true, "")},
	}
}

type logInput struct {
	Named
	Service string `path:"name" maxLength:"253"`
	Lines   int    `query:"lines" default:"200" minimum:"1" maximum:"2000"`
}

type logOutput struct {
	Body api.Log
}

func (s *Server) serviceLog(ctx context.Context, in *logInput) (*logOutput, error) {
	id, err := s.serverID(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	log, err := s.Fleet.Log(ctx, id, in.Service, in.Lines)
	if err != nil {
		return nil, err
	}
	return &logOutput{shownLog(log)}, nil
}

func shownLog(l agentapi.Log) api.Log { return api.Log{Lines: append([]string{}, l.Lines...)} }

type followInput struct {
	Named
	Lines  int  `query:"lines" default:"200" minimum:"0" maximum:"2000"`
	Follow bool `query:"follow" doc:"Stream the lines that come, too"`
}

func (s *Server) followLog(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	service, err := s.services().get(ctx, &in.Named)
	if err != nil {
		return nil, err
	}
	server, name := service.Body.Server, service.Body.Name
	if !in.Follow {
		log, err := s.Fleet.Log(ctx, server, name, max(in.Lines, 1))
		if err != nil {
			return nil, err
		}
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			g := humagin.Unwrap(hc)
			g.JSON(http.StatusOK, shownLog(log))
		}}, nil
	}
	if s.tails.Add(1) > maxTails {
		s.tails.Add(-1)
		return nil, inventory.Errorf(inventory.TooMany, "%d logs are followed already: close one", maxTails)
	}
	following, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	lines, err := s.Fleet.FollowLog(following, server, name, in.Lines)
	if err != nil {
		stop()
		cancel()
		s.tails.Add(-1)
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer s.tails.Add(-1)
		defer cancel()
		defer stop()
		defer func() { _ = lines.Close() }()
		g := humagin.Unwrap(hc)
		g.Header("Content-Type", "text/event-stream")
		t := &tail{s: s, call: callOf(g.Request.Context()), to: g.Writer}
		s.Logger.Debug("following a log ended", "cid", t.call.id, "why", t.run(following, lines))
	}}, nil
}

// tail writes a log that is followed to one reader.
type tail struct {
	s    *Server
	call *call
	to   http.ResponseWriter
}

// run writes lines until there are no more, or the reader may not or does not
// read them, and returns why. The agent sends a beat when it has none for a while.
func (t *tail) run(ctx context.Context, lines *agentapi.LogStream) error {
	if err := t.write(": log\n\n"); err != nil {
		return err
	}
	for {
		line, err := lines.Next()
		if err != nil {
			if ctx.Err() != nil {
				return err
			}
			// It can be opened again when the service or its agent comes back.
			return errors.Join(err, t.write("event: end\ndata: {}\n\n"))
		}
		if line == nil {
			if err := t.s.Auth.Still(ctx, t.call.principal); err != nil {
				return err
			}
			if err := t.write(": beat\n\n"); err != nil {
				return err
			}
			continue
		}
		data, err := json.Marshal(api.LogLine(*line))
		if err != nil {
			return err
		}
		if err := t.write("event: line\ndata: %s\n\n", data); err != nil {
			return err
		}
	}
}

func (t *tail) write(format string, args ...any) error {
	t.call.extend(streamTime)
	if _, err := fmt.Fprintf(t.to, format, args...); err != nil {
		return err
	}
	return http.NewResponseController(t.to).Flush()
}

type crashOutput struct {
	Body api.Crash
}

func (s *Server) serviceCrash(ctx context.Context, in *Named) (*crashOutput, error) {
	service, err := s.services().get(ctx, in)
	if err != nil {
		return nil, err
	}
	c, err := s.Fleet.Crash(ctx, service.Body.Server, service.Body.Name)
	if err != nil {
		return nil, err
	}
	return &crashOutput{api.Crash{
		Time: c.Time, Exit: c.Exit, Said: inventory.Read(c.Exit, c.Said).Beside(), Restarts: c.Restarts, Lines: append([]string{}, c.Lines...),
	}}, nil
}
