package rest

import (
	"context"
	"net/http"
	"strings"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) operationRoutes() {
	add(s, operation{"list-operations", http.MethodGet, "/operations", "List operations, newest first", inventory.Operations, auth.Read, 0, ""}, s.listOperations)
	add(s, operation{"create-operation", http.MethodPost, "/operations", "Act on servers or services", inventory.Operations, auth.Write, http.StatusAccepted,
		"Written down when this answers; agents carry it out. The same Idempotency-Key with the same request gives the same operation. What the preview wants confirmed, and its refusals, must be sent along: 422 otherwise, and nothing happens."}, s.createOperation)
	add(s, operation{"preview-operation", http.MethodPost, "/operations/preview", "What an operation would do", inventory.Operations, auth.Read, http.StatusOK,
		"Nothing is done."}, s.previewOperation)
	add(s, operation{"get-operation", http.MethodGet, "/operations/{id}", "Get an operation", inventory.Operations, auth.Read, 0,
		"With wait the answer comes when the operation has ended, or as it stands after that time."}, s.getOperation)
	add(s, operation{"cancel-operation", http.MethodPost, "/operations/{id}/cancel", "Cancel what no agent has been handed yet", inventory.Operations, auth.Write, 0,
		"A rolling operation undrains what it drained."}, s.cancelOperation)
	add(s, operation{"approve-operation", http.MethodPost, "/operations/{id}/approve", "Let an operation begin that waits for a second person", inventory.Operations, auth.Write, 0,
		"Not by who asked for it."}, s.approveOperation)
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
	Conditional
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Unique to this request; absent: each request is a new operation"`
	Body api.NewOperation
}

type createdOperation struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Body     *inventory.Operation
}

func (s *Server) createOperation(ctx context.Context, in *createOperationInput) (*createdOperation, error) {
	version, err := in.version()
	if err != nil {
		return nil, err
	}
	if version != 0 {
		if len(in.Body.Targets) != 1 {
			return nil, inventory.FieldErrorf("header.If-Match", "If-Match is of one target; of several send versions")
		}
		t := in.Body.Targets[0]
		key := strings.TrimSuffix(t.Server+"/"+t.Service, "/")
		in.Body.Versions = map[string]uint64{key: version}
	}
	op, err := s.Operations.Create(ctx, actorOf(ctx), in.Key, in.Body)
	if err != nil {
		return nil, err
	}
	return &createdOperation{"/api/v1/operations/" + string(op.ID), etag(op.Version), op}, nil
}

type previewInput struct {
	Body api.NewOperation
}

type previewOutput struct {
	Body api.Impact
}

func (s *Server) previewOperation(ctx context.Context, in *previewInput) (*previewOutput, error) {
	impact, err := s.Operations.Preview(ctx, actorOf(ctx), in.Body)
	if err != nil {
		return nil, err
	}
	return &previewOutput{impact}, nil
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
	return s.decide(ctx, in, s.Operations.Cancel)
}

func (s *Server) approveOperation(ctx context.Context, in *Named) (*one[*inventory.Operation], error) {
	return s.decide(ctx, in, s.Operations.Approve)
}

// decide has somebody's word on an operation take effect.
func (s *Server) decide(ctx context.Context, in *Named, word func(context.Context, inventory.Actor, inventory.ID) (*inventory.Operation, error)) (*one[*inventory.Operation], error) {
	found, err := s.operations().get(ctx, in)
	if err != nil {
		return nil, err
	}
	op, err := word(ctx, actorOf(ctx), found.Body.ID)
	if err != nil {
		return nil, err
	}
	return &one[*inventory.Operation]{etag(op.Version), op}, nil
}
