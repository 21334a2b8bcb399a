package storectl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"mailfleet/mailnode/api"
	"mailfleet/mailnode/store"
)

// checkpointsName is the directory, in a mailnode's, in which checkpoints are made.
const checkpointsName = "checkpoints"

// Handler is the part of the control socket that the commands use while the mailnode
// runs: POST /v1/store/checkpoint, /v1/store/compact and /v1/store/message. dir is the
// mailnode's directory.
func Handler(s *store.Store, dir string) (http.Handler, error) {
	if err := os.RemoveAll(filepath.Join(dir, checkpointsName)); err != nil { // of commands that were killed
		return nil, fmt.Errorf("old checkpoints of the store: %w", err)
	}
	mux := http.NewServeMux()
	handle := func(name string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc("POST /v1/store/"+name, func(w http.ResponseWriter, r *http.Request) {
			// How long it takes depends on the store, not on the peer, who is this machine's.
			c := http.NewResponseController(w)
			_ = errors.Join(c.SetReadDeadline(time.Time{}), c.SetWriteDeadline(time.Time{})) // not for every connection
			answer, err := do(r)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusUnprocessableEntity)
				answer = api.Problem{Title: "The store did not do it", Status: http.StatusUnprocessableEntity, Detail: err.Error()}
			}
			_ = json.NewEncoder(w).Encode(answer) // the peer may be gone
		})
	}
	handle("checkpoint", func(r *http.Request) (any, error) {
		path := filepath.Join(dir, checkpointsName, strconv.FormatInt(time.Now().UnixNano(), 36))
		return path, s.Checkpoint(r.Context(), path)
	})
	handle("compact", func(r *http.Request) (any, error) {
		return "compacted", s.Compact(r.Context(), func(int, int) {})
	})
	handle("message", func(r *http.Request) (any, error) {
		var m arrival
		if err := json.Unmarshal([]byte(r.URL.Query().Get("message")), &m); err != nil {
			return nil, err
		}
		return take(r.Context(), s, m, r.Body)
	})
	return mux, nil
}

// node is a running mailnode.
type node struct{ http *http.Client }

// dial returns the mailnode that runs in dir, nil when none does.
func dial(ctx context.Context, dir string) *node {
	path := filepath.Join(dir, api.SocketName)
	if _, err := api.Dial(path).Status(ctx); err != nil {
		return nil
	}
	var dialer net.Dialer
	return &node{&http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "unix", path)
	}}}}
}

// post asks for something and decodes the answer.
func (n *node) post(ctx context.Context, name string, query url.Values, body io.Reader, size int64, answer any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://mailnode/v1/store/"+name+"?"+query.Encode(), body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	res, err := n.http.Do(req)
	if err != nil {
		return fmt.Errorf("the mailnode does not answer: %w", err)
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		problem := &api.Problem{}
		if json.Unmarshal(data, problem) != nil || problem.Detail == "" {
			return fmt.Errorf("the mailnode answers %s", res.Status)
		}
		return problem
	}
	return json.Unmarshal(data, answer)
}

// source is a store that is looked at.
type source struct {
	*store.Store
	path string // its directory
	temp string // a checkpoint to remove, "" when it is the store itself
}

// storePath is where the store of a mailnode's directory is; dir may also be a store's.
func storePath(dir string) string {
	if _, err := os.Stat(filepath.Join(dir, "STORE")); err == nil {
		return dir
	}
	return filepath.Join(dir, "store")
}

// look opens a store to look at it: while its mailnode runs, a checkpoint.
func look(ctx context.Context, dir string) (*source, error) {
	src := &source{path: storePath(dir)}
	if n := dial(ctx, dir); n != nil {
		if err := n.post(ctx, "checkpoint", nil, nil, 0, &src.temp); err != nil {
			return nil, err
		}
		src.path = src.temp
	}
	if _, err := os.Stat(filepath.Join(src.path, "STORE")); err != nil {
		return nil, fmt.Errorf("there is no store: %w", err)
	}
	s, err := store.OpenReadOnly(src.path, store.Options{})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(src.temp))
	}
	src.Store = s
	return src, nil
}

// close ends the look and removes the checkpoint.
func (s *source) close() error {
	err := s.Close()
	if s.temp != "" {
		err = errors.Join(err, os.RemoveAll(s.temp))
	}
	return err
}
