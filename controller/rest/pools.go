package rest

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) poolRoutes() {
	add(s, operation{"list-pools", http.MethodGet, "/pools", "List pools", inventory.Pools, auth.Read, 0, ""}, s.listPools)
	add(s, operation{"create-pool", http.MethodPost, "/pools", "Make a pool of servers that serve the same", inventory.Pools, auth.Write, http.StatusCreated, ""}, s.createPool)
	add(s, operation{"get-pool", http.MethodGet, "/pools/{id}", "Get a pool", inventory.Pools, auth.Read, 0, ""}, s.pools().get)
	add(s, operation{"replace-pool", http.MethodPut, "/pools/{id}", "Replace a pool", inventory.Pools, auth.Write, 0, ""}, s.replacePool)
	add(s, operation{"delete-pool", http.MethodDelete, "/pools/{id}", "Delete a pool", inventory.Pools, auth.Write, 0,
		"Its members' services stay as they are."}, s.deletePool)
	add(s, operation{"set-pool-member", http.MethodPut, "/pools/{id}/members/{server}", "Put a server into a pool, or change its weight", inventory.Pools, auth.Write, 0, ""}, s.setPoolMember)
	add(s, operation{"remove-pool-member", http.MethodDelete, "/pools/{id}/members/{server}", "Take a server out of a pool", inventory.Pools, auth.Write, http.StatusOK, ""}, s.removePoolMember)
}

type poolsInput struct {
	Paging
	Service []string `query:"service"`
}

func (s *Server) listPools(ctx context.Context, in *poolsInput) (*page[*inventory.Pool], error) {
	return s.pools().list(ctx, in.Paging, false, map[string][]string{"service": in.Service})
}

type createPoolInput struct {
	Body api.NewPool
}

func (s *Server) createPool(ctx context.Context, in *createPoolInput) (*created[*inventory.Pool], error) {
	return s.pools().create(ctx, func(tx inventory.Tx) (*inventory.Pool, error) {
		p := &inventory.Pool{}
		return p, s.setPool(tx, p, in.Body)
	})
}

type replacePoolInput struct {
	Named
	Conditional
	Body api.NewPool
}

func (s *Server) replacePool(ctx context.Context, in *replacePoolInput) (*one[*inventory.Pool], error) {
	return s.pools().change(ctx, in.ID, in.Conditional, "change", func(tx inventory.Tx, p *inventory.Pool) error {
		return s.setPool(tx, p, in.Body)
	})
}

func (s *Server) deletePool(ctx context.Context, in *conditionalInput) (*none, error) {
	return s.pools().delete(ctx, in.ID, in.Conditional, free)
}

// setPool makes a pool what was asked for.
func (s *Server) setPool(tx inventory.Tx, p *inventory.Pool, in api.NewPool) error {
	if err := inventory.CheckName("name", in.Name); err != nil {
		return err
	}
	if err := inventory.CheckName("service", in.Service); err != nil {
		return err
	}
	p.Name, p.Service, p.Description = in.Name, in.Service, in.Description
	p.MaxUnavailable, p.PerRegion = max(1, in.MaxUnavailable), in.PerRegion
	p.Members = make([]inventory.Member, 0, len(in.Members))
	for i, m := range in.Members {
		field := fmt.Sprintf("members[%d].server", i)
		member, err := s.member(tx, field, p, m.Server, m.Weight)
		if err != nil {
			return err
		}
		if memberAt(p, member.Server) >= 0 {
			return inventory.FieldErrorf(field, "%s is named twice", m.Server)
		}
		p.Members = append(p.Members, member)
	}
	return nil
}

// member is a server of the fleet as a member of the pool: it must have the service.
func (s *Server) member(tx inventory.Tx, field string, p *inventory.Pool, ref string, weight *int) (inventory.Member, error) {
	server, err := s.servers().find(tx, ref)
	if inventory.Is(err, inventory.NotFound) || err == nil && server.State == inventory.ServerRemoved {
		return inventory.Member{}, inventory.FieldErrorf(field, "there is no server %q", ref)
	}
	if err != nil {
		return inventory.Member{}, err
	}
	_, err = tx.Services().Find("server/name", string(server.ID)+"/"+p.Service)
	if inventory.Is(err, inventory.NotFound) {
		return inventory.Member{}, inventory.FieldErrorf(field, "%s has no service %q", server.Name, p.Service)
	}
	m := inventory.Member{Server: server.ID, Weight: 1}
	if weight != nil {
		m.Weight = *weight
	}
	return m, err
}

func memberAt(p *inventory.Pool, server inventory.ID) int {
	return slices.IndexFunc(p.Members, func(m inventory.Member) bool { return m.Server == server })
}

// Membership names a server in a pool.
type Membership struct {
	Named
	Server string `path:"server" maxLength:"320" doc:"Id or name"`
}

type setMemberInput struct {
	Membership
	Conditional
	Body api.PoolMember
}

func (s *Server) setPoolMember(ctx context.Context, in *setMemberInput) (*one[*inventory.Pool], error) {
	return s.pools().change(ctx, in.ID, in.Conditional, "member.set", func(tx inventory.Tx, p *inventory.Pool) error {
		m, err := s.member(tx, "server", p, in.Server, in.Body.Weight)
		if err != nil {
			return err
		}
		if i := memberAt(p, m.Server); i >= 0 {
			p.Members[i] = m
		} else {
			p.Members = append(p.Members, m)
		}
		return nil
	})
}

type removeMemberInput struct {
	Membership
	Conditional
}

func (s *Server) removePoolMember(ctx context.Context, in *removeMemberInput) (*one[*inventory.Pool], error) {
	return s.pools().change(ctx, in.ID, in.Conditional, "member.remove", func(tx inventory.Tx, p *inventory.Pool) error {
		server, err := s.servers().find(tx, in.Server)
		if err != nil {
			return err
		}
		i := memberAt(p, server.ID)
		if i < 0 {
			return inventory.Errorf(inventory.NotFound, "%s is not in pool %s", server.Name, p.Name)
		}
		p.Members = slices.Delete(p.Members, i, i+1)
		return nil
	})
}
