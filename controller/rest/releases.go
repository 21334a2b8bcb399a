package rest

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// pieceTime is how long one piece of a build that is published may take to come.
const pieceTime = 30 * time.Second

func (s *Server) releaseRoutes() {
	add(s, operation{"list-releases", http.MethodGet, "/releases", "List releases of programs", inventory.Releases, auth.Read, 0, ""}, s.listReleases)
	add(s, operation{"publish-release", http.MethodPost, "/releases", "Publish a signed release of a program", inventory.Releases, auth.Write, http.StatusCreated,
		"The body is the program's file itself, exactly size octets. The signature (ed25519) is of the text `mailfleet release 1`, program, number, platform, size and sha256, a line each; its key must be one that the controller trusts. What does not fit is refused and nothing is kept."}, s.publishRelease)
	add(s, operation{"get-release", http.MethodGet, "/releases/{id}", "Get a release", inventory.Releases, auth.Read, 0, ""}, s.releases().get)
	add(s, operation{"remove-release", http.MethodDelete, "/releases/{id}", "Remove a release", inventory.Releases, auth.Write, 0,
		"409 while a service is to run it or an operation is about it. Agents keep what they run."}, s.removeRelease)
	add(s, operation{"get-release-keys", http.MethodGet, "/release-keys", "The keys whose releases this controller takes", inventory.Releases, auth.Read, 0,
		"They are in the file release.keys of the controller's directory, and cannot be changed here."}, s.releaseKeys)
	s.api.OpenAPI().Paths["/api/v1/releases"].Post.RequestBody = &huma.RequestBody{
		Required: true, Description: "The program's file",
		Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
	}
}

type releasesInput struct {
	Paging
	Program []string `query:"program"`
}

func (s *Server) listReleases(ctx context.Context, in *releasesInput) (*page[*inventory.Release], error) {
	return s.releases().list(ctx, in.Paging, false, map[string][]string{"program": in.Program})
}

type publishInput struct {
	Program   string `query:"program" required:"true" maxLength:"253" example:"mailfleet-agent" doc:"mailfleet-agent, mailfleet-mailnode, or the name of a site's own service"`
	Number    string `query:"number" required:"true" maxLength:"100" doc:"Version, as the program prints it"`
	Platform  string `query:"platform" required:"true" maxLength:"41" example:"linux/amd64"`
	Size      int64  `query:"size" required:"true" minimum:"1" doc:"Octets"`
	SHA256    string `query:"sha256" required:"true" maxLength:"64" doc:"Hexadecimal"`
	Key       string `query:"key" required:"true" maxLength:"100" doc:"Public half of the signer's key, base64"`
	Signature string `query:"signature" required:"true" maxLength:"100" doc:"Base64"`
}

func (s *Server) publishRelease(ctx context.Context, in *publishInput) (*created[*inventory.Release], error) {
	signature, err := base64.StdEncoding.DecodeString(in.Signature)
	if err != nil {
		return nil, inventory.FieldErrorf("signature", "the signature is not base64")
	}
	r := inventory.Release{
		Program: in.Program, Number: in.Number, Platform: in.Platform, Size: in.Size, SHA256: in.SHA256,
		Key: in.Key, Signature: signature, Actor: actorOf(ctx).Name,
	}
	if err := s.trusted(&r); err != nil {
		return nil, err
	}
	if err := s.Store.View(ctx, func(tx inventory.Tx) error { return fresh(tx, &r) }); err != nil {
		return nil, err
	}
	arrived, err := s.Releases.Receive(&pieces{call: callOf(ctx)}, r.Size, r.SHA256)
	if err != nil {
		return nil, err
	}
	defer arrived.Drop()
	s.Releases.Turn.Lock()
	defer s.Releases.Turn.Unlock()
	if err := s.Store.View(ctx, func(tx inventory.Tx) error { return fresh(tx, &r) }); err != nil {
		return nil, err
	}
	// The file first: a release that is listed can be fetched.
	if err := arrived.Keep(); err != nil {
		return nil, err
	}
	out, err := s.releases().create(ctx, func(tx inventory.Tx) (*inventory.Release, error) {
		made := r // it may be built twice
		return &made, fresh(tx, &made)
	})
	if err != nil {
		if rerr := s.Releases.Remove(r.SHA256); rerr != nil {
			s.Logger.Warn("the file of a release that was not published is left", "sha256", r.SHA256, "err", rerr)
		}
	}
	return out, err
}

// trusted refuses a release that no agent would run.
func (s *Server) trusted(r *inventory.Release) error {
	if s.Releases == nil {
		return inventory.Errorf(inventory.Unavailable, "this controller takes no releases")
	}
	if err := r.Check(); err != nil {
		return err
	}
	keys, err := s.Releases.Keys()
	if err != nil {
		return err
	}
	if len(keys) == 0 {
		return inventory.Errorf(inventory.Conflict, "this controller trusts no release key yet: put a key list into its directory as release.keys")
	}
	return keys.Verify(r)
}

// fresh refuses a release that is there already.
func fresh(tx inventory.Tx, r *inventory.Release) error {
	list, _, err := tx.Releases().List(inventory.Query{Where: map[string][]string{"program": {r.Program}}})
	if err != nil {
		return err
	}
	for _, o := range list {
		if o.Number == r.Number && o.Platform == r.Platform {
			return inventory.Errorf(inventory.Conflict, "there is a release %s already; nothing was kept", o.Title())
		}
	}
	same, err := tx.Releases().Find("sha256", r.SHA256)
	if inventory.Is(err, inventory.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return inventory.Errorf(inventory.Conflict, "this very file is published already, as %s; nothing was kept", same.Title())
}

// pieces reads a request's body; each piece has its time, however many come.
type pieces struct{ call *call }

func (p *pieces) Read(b []byte) (int, error) {
	c := http.NewResponseController(p.call.writer)
	_ = c.SetReadDeadline(time.Now().Add(pieceTime)) // a connection that has no deadlines goes without
	n, err := p.call.body.Read(b)
	p.call.extend(writeTimeout)
	if err != nil {
		_ = c.SetReadDeadline(time.Time{})
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read the release: %w", err)
		}
	}
	return n, err
}

func (s *Server) removeRelease(ctx context.Context, in *conditionalInput) (*none, error) {
	if s.Releases == nil {
		return nil, inventory.Errorf(inventory.NotFound, "there is no release %q", in.ID)
	}
	s.Releases.Turn.Lock()
	defer s.Releases.Turn.Unlock()
	sum := ""
	out, err := s.releases().delete(ctx, in.ID, in.Conditional, func(tx inventory.Tx, r *inventory.Release) error {
		sum = r.SHA256
		return unused(tx, r)
	})
	if err != nil {
		return nil, err
	}
	if err := s.Releases.Remove(sum); err != nil {
		s.Logger.Warn("the file of a removed release is left", "sha256", sum, "err", err)
	}
	return out, nil
}

// unused refuses to let go of a release that is still needed.
func unused(tx inventory.Tx, r *inventory.Release) error {
	services, _, err := tx.Services().List(inventory.Query{})
	if err != nil {
		return err
	}
	for _, v := range services {
		if v.Release != r.ID {
			continue
		}
		where := string(v.Server)
		if server, err := tx.Servers().Get(v.Server); err == nil {
			where = server.Name
		}
		return inventory.Errorf(inventory.Conflict, "%s on %s is to run it: upgrade that to another release first", v.Name, where)
	}
	open := []string{string(inventory.OpQueued), string(inventory.OpDelivered), string(inventory.OpRunning), string(inventory.OpUnknown)}
	list, _, err := tx.Operations().List(inventory.Query{Where: map[string][]string{"state": open}})
	if err != nil {
		return err
	}
	for _, op := range list {
		if op.Params.Release == r.ID {
			return inventory.Errorf(inventory.Conflict, "an operation about it has not ended yet: %s %s", op.Kind, op.ID)
		}
	}
	return nil
}

type releaseKeysOutput struct {
	Body api.TrustedKeys
}

func (s *Server) releaseKeys(context.Context, *struct{}) (*releaseKeysOutput, error) {
	out := &releaseKeysOutput{Body: api.TrustedKeys{Keys: []string{}}}
	if s.Releases == nil {
		return out, nil
	}
	chain, err := s.Releases.Keys()
	if err != nil {
		return nil, err
	}
	if len(chain) > 0 {
		out.Body = api.TrustedKeys{Serial: chain[len(chain)-1].Serial, Keys: chain.Keys()}
	}
	return out, nil
}
