package rest

import (
	"context"
	"net/http"
	"slices"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// maxWindow is how long a maintenance window may last: one that is forgotten
// must not silence alerts for ever.
const maxWindow = 31 * 24 * time.Hour

func (s *Server) windowRoutes() {
	add(s, operation{"list-windows", http.MethodGet, "/windows", "List maintenance windows, newest first", inventory.Windows, auth.Read, 0, ""}, s.listWindows)
	add(s, operation{"create-window", http.MethodPost, "/windows", "Have alerts of planned work tell nobody", inventory.Windows, auth.Write, http.StatusCreated,
		"They are recorded. What still fires when the window ends is told then."}, s.createWindow)
	add(s, operation{"get-window", http.MethodGet, "/windows/{id}", "Get a maintenance window", inventory.Windows, auth.Read, 0, ""}, s.windows().get)
	add(s, operation{"replace-window", http.MethodPut, "/windows/{id}", "Replace a maintenance window", inventory.Windows, auth.Write, 0, ""}, s.replaceWindow)
	add(s, operation{"close-window", http.MethodPost, "/windows/{id}/close", "End a maintenance window now", inventory.Windows, auth.Write, 0, ""}, s.endWindow)
	add(s, operation{"delete-window", http.MethodDelete, "/windows/{id}", "Delete a maintenance window", inventory.Windows, auth.Write, 0,
		"One that is open must be closed first."}, s.deleteWindow)
}

type windowsInput struct {
	Paging
	Operation []string `query:"operation" doc:"That opened it"`
}

func (s *Server) listWindows(ctx context.Context, in *windowsInput) (*page[*inventory.Window], error) {
	return s.windows().list(ctx, in.Paging, true, map[string][]string{"operation": in.Operation})
}

type createWindowInput struct {
	Body api.NewWindow
}

func (s *Server) createWindow(ctx context.Context, in *createWindowInput) (*created[*inventory.Window], error) {
	return s.windows().create(ctx, func(tx inventory.Tx) (*inventory.Window, error) {
		w := &inventory.Window{Actor: actorOf(ctx).Name}
		return w, s.setWindow(tx, w, in.Body, time.Now().UTC())
	})
}

type replaceWindowInput struct {
	Named
	Conditional
	Body api.NewWindow
}

func (s *Server) replaceWindow(ctx context.Context, in *replaceWindowInput) (*one[*inventory.Window], error) {
	return s.windows().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, w *inventory.Window) error {
		if err := changeable(w); err != nil {
			return err
		}
		if in.Body.From.IsZero() {
			in.Body.From = w.From
		}
		return s.setWindow(tx, w, in.Body, time.Now().UTC())
	})
}

// changeable refuses to change the past, and what an operation opened.
func changeable(w *inventory.Window) error {
	switch {
	case !w.Closed.IsZero():
		return inventory.Errorf(inventory.Conflict, "the window was closed at %s", w.Closed.Format(time.RFC3339))
	case w.Operation != "":
		return inventory.Errorf(inventory.Conflict, "operation %s opened the window and closes it", w.Operation)
	default:
		return nil
	}
}

func (s *Server) endWindow(ctx context.Context, in *conditionalInput) (*one[*inventory.Window], error) {
	return s.windows().change(ctx, in.ID, in.Conditional, "close", func(_ inventory.Tx, w *inventory.Window) error {
		if !w.Closed.IsZero() {
			return inventory.Errorf(inventory.Conflict, "the window was closed at %s", w.Closed.Format(time.RFC3339))
		}
		w.Closed = time.Now().UTC()
		return nil
	})
}

func (s *Server) deleteWindow(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.windows().delete(ctx, in.ID, in.Conditional, func(_ inventory.Tx, w *inventory.Window) error {
		now := time.Now()
		if now.Before(w.From) || !w.Closed.IsZero() || !w.To.IsZero() && !now.Before(w.To) {
			return nil
		}
		return inventory.Errorf(inventory.Conflict, "the window is open: close it first")
	})
}

// setWindow makes a window what was asked for.
func (s *Server) setWindow(tx inventory.Tx, w *inventory.Window, in api.NewWindow, now time.Time) error {
	w.From, w.To, w.Reason = in.From.UTC(), in.To.UTC(), in.Reason
	if w.From.IsZero() {
		w.From = now
	}
	switch {
	case !w.To.After(w.From) || !w.To.After(now):
		return inventory.FieldErrorf("to", "a window must end after it begins, and after now")
	case w.To.Sub(w.From) > maxWindow:
		return inventory.FieldErrorf("to", "a window can last for at most %d days", maxWindow/(24*time.Hour))
	}
	w.Servers = []inventory.ID{}
	for _, ref := range in.Servers {
		server, err := s.servers().find(tx, ref)
		if inventory.Is(err, inventory.NotFound) || err == nil && server.State == inventory.ServerRemoved {
			return inventory.FieldErrorf("servers", "there is no server %q", ref)
		}
		if err != nil {
			return err
		}
		if !slices.Contains(w.Servers, server.ID) {
			w.Servers = append(w.Servers, server.ID)
		}
	}
	return nil
}
