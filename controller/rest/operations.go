package rest

import (
	"context"
	"net/http"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) operationRoutes() {
	add(s, operation{"list-operations", http.MethodGet, "/operations", "List operations, newest first", inventory.Operations, auth.Read, 0, ""}, s.listOperations)
	add(s, operation{"create-operation", http.MethodPost, "/operations", "Act on servers or services", inventory.Operations, auth.Write, http.StatusAccepted,
		"Written down when this answers; agents carry it out. The same Idempotency-Key with the same request gives the same operation."}, s.createOperation)
	add(s, operation{"get-operation", http.MethodGet, "/operations/{id}", "Get an operation", inventory.Operations, auth.Read, 0,
		"With wait the answer comes when the operation has ended, or as it stands after that time."}, s.getOperation)
	add(s, operation{"cancel-operation", http.MethodPost, "/operations/{id}/cancel", "Cancel what no agent has been handed yet", inventory.Operations, auth.Write, 0, ""}, s.cancelOperation)
}

type operationsInput struct {
	Paging
	State  []string `query:"state" enum:"queued,delivered,running,succeeded,failed,expired,unknown,cancelled"`
	Kind   []string `query:"kind"`
	Server []string `query:"server" doc:"Id or name"`
}

func (s *Server) listOperations(ctx context.Context, in *operationsInput) (*page[*inventory.Operation], error) {
	servers, err := s.serverIDs(ctx, in.Server)
	if err != nil {
		return nil, err
	}
	return s.operations().list(ctx, in.Paging, true, map[string][]string{"state": in.State, "kind": in.Kind, "server": servers})
}

type createOperationInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Unique to this request; absent: each request is a new operation"`
	Body api.NewOperation
}

type createdOperation struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     *inventory.Operation
}

func (s *Server) createOperation(ctx context.Context, in *createOperationInput) (*createdOperation, error) {
	op, err := s.Operations.Create(ctx, actorOf(ctx), in.Key, in.Body)
	if err != nil {
		return nil, err
	}
	return &createdOperation{"/api/v1/operations/" + string(op.ID), etag(op.Version), op}, nil
}

type operationInput struct {
	Named
	Wait Span `query:"wait" doc:"How long to wait for the end at most, up to 60s"`
}

func (s *Server) getOperation(ctx context.Context, in *operationInput) (*one[*inventory.Operation], error) {
	waiting, cancel, err := s.waiting(ctx, in.Wait)
	if err != nil {
		return nil, err
	}
	defer cancel()
	for {
		op, index := &one[*inventory.Operation]{}, uint64(0)
		err := s.Store.View(ctx, func(tx inventory.Tx) (err error) {
			index = tx.Index()
			op.Body, err = s.operations().find(tx, in.ID)
			return err
		})
		if err != nil {
			return nil, err
		}
		if op.Body.State.Final() || waiting.Err() != nil {
			op.ETag = etag(op.Body.Version)
			return op, nil
		}
		s.Store.Wait(waiting, index, inventory.Operations)
	}
}

func (s *Server) cancelOperation(ctx context.Context, in *Named) (*one[*inventory.Operation], error) {
	found, err := s.operations().get(ctx, in)
	if err != nil {
		return nil, err
	}
	op, err := s.Operations.Cancel(ctx, actorOf(ctx), found.Body.ID)
	if err != nil {
		return nil, err
	}
	return &one[*inventory.Operation]{etag(op.Version), op}, nil
}
