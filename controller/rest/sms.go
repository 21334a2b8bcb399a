package rest

import (
	"context"
	"net/http"
	"time"

	"mailfleet/alerts"
	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/inventory"
)

func (s *Server) smsRoutes() {
	add(s, operation{"list-sms", http.MethodGet, "/sms", "List text messages, newest first", inventory.SMSes, auth.Read, 0, ""}, s.listSMS)
	add(s, operation{"send-sms", http.MethodPost, "/sms", "Send a text message", inventory.SMSes, auth.Write, http.StatusCreated,
		"Queued when this answers; its state tells how it goes on."}, s.sendSMS)
	add(s, operation{"get-sms", http.MethodGet, "/sms/{id}", "Get a text message", inventory.SMSes, auth.Read, 0, ""}, s.texts().get)
}

type smsInput struct {
	Paging
	State []string `query:"state" enum:"queued,sent,delivered,failed"`
	To    []string `query:"to"`
	Alert []string `query:"alert" doc:"Id"`
}

func (s *Server) listSMS(ctx context.Context, in *smsInput) (*page[*inventory.SMS], error) {
	return s.texts().list(ctx, in.Paging, true, map[string][]string{"state": in.State, "to": in.To, "alert": in.Alert})
}

type sendSMSInput struct {
	Body api.NewSMS
}

func (s *Server) sendSMS(ctx context.Context, in *sendSMSInput) (*created[*inventory.SMS], error) {
	phone, err := alerts.ParsePhone(in.Body.To)
	if err != nil {
		return nil, inventory.FieldErrorf("to", "%s", err)
	}
	return s.texts().create(ctx, func(inventory.Tx) (*inventory.SMS, error) {
		return &inventory.SMS{
			To: phone, Text: in.Body.Text, State: inventory.SMSQueued, Next: time.Now().UTC(), Key: "api/" + callOf(ctx).id,
		}, nil
	})
}
