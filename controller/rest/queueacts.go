package rest

import (
	"context"
	"strconv"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

// operationOf is the kind of operation that an act is; the others are operators' alone.
var operationOf = map[inventory.QueueAct]inventory.OperationKind{
	inventory.ActHold: inventory.OpQueueHold, inventory.ActRelease: inventory.OpQueueRelease, inventory.ActDelete: inventory.OpQueueDelete,
}

type queueActInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"200" doc:"Unique to this request; absent: each request is a new operation"`
	Wait Span   `query:"wait" doc:"How long to wait for the end at most, up to 60s"`
	Body api.QueueActing
}

type queueActOutput struct {
	Body api.QueueActed
}

// actOnQueue makes an operation for who may not make one of any kind: on the mail that the
// domains in reach send or wait for, and nothing else.
func (s *Server) actOnQueue(ctx context.Context, in *queueActInput) (*queueActOutput, error) {
	kind, ok := operationOf[in.Body.Act]
	if !ok {
		return nil, inventory.FieldErrorf("act", "%q is not one of hold, release, delete", in.Body.Act)
	}
	if kind == inventory.OpQueueDelete {
		if err := mayAlso(ctx, auth.Queue, auth.Delete); err != nil {
			return nil, err
		}
	}
	filter := in.Body.Filter
	filter.Act = in.Body.Act
	scope, err := s.queueScope(ctx, filter, nil)
	if err != nil {
		return nil, err
	}
	answers := s.sums(ctx, scope)
	out := &queueActOutput{api.QueueActed{State: inventory.OpSucceeded, Silent: answers.told(scope.reach), Partial: len(answers.silent) > 0}}
	ask := api.NewOperation{Kind: kind, Reason: in.Body.Reason, Params: api.NewParams{Queue: &inventory.QueueOrder{
		Filter: scope.filter, Report: in.Body.Report && kind == inventory.OpQueueDelete,
	}}}
	for _, a := range answers.given {
		if n := a.answer.Total.Entries; n > 0 {
			out.Body.Entries += n
			ask.Targets = append(ask.Targets, api.NewTarget{Server: string(a.server.ID)})
			ask.Confirm = a.server.Name
		}
	}
	switch {
	case kind == inventory.OpQueueDelete && in.Body.Confirm != out.Body.Entries:
		return nil, inventory.FieldErrorf("confirm", "%d entries would be deleted, not %d; nothing was done", out.Body.Entries, in.Body.Confirm)
	case out.Body.Entries == 0:
		return out, nil // nothing to do
	case len(ask.Targets) > 1:
		ask.Confirm = strconv.Itoa(len(ask.Targets))
	}
	op, err := s.Operations.Create(ctx, actorOf(ctx), in.Key, ask)
	if err != nil {
		return nil, err
	}
	err = s.Store.Update(ctx, func(tx inventory.Tx) error { return tx.Audit().Append(s.actEntry(ctx, op, scope.filter.Within)) })
	if err != nil {
		return nil, err
	}
	ended, err := s.getOperation(ctx, &operationInput{Named: Named{ID: string(op.ID)}, Wait: in.Wait})
	if err != nil {
		return nil, err
	}
	out.Body.Operation, out.Body.State = op.ID, ended.Body.State
	return out, nil
}

// actEntry tells the audit log of the domains what was done with their mail; that of the
// fleet has the operation.
func (s *Server) actEntry(ctx context.Context, op *inventory.Operation, domains []string) *inventory.AuditEntry {
	entry := actorOf(ctx).Entry(string(op.Kind), inventory.Operations, string(op.ID))
	entry.Reason = op.Reason
	for _, name := range domains {
		entry.Scope = append(entry.Scope, inventory.ScopeDomain(name))
	}
	return entry
}
