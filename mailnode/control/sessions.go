package control

import (
	"net/http"

	"mailfleet/inventory"
)

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	q, err := inventory.ParseMailSessionQuery(r.URL.Query())
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, "The sessions were not listed", inventory.Say("%s", err))
		return
	}
	s.answer(w, http.StatusOK, s.node.Sessions(q))
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !s.node.EndSession(id) {
		s.refuse(w, http.StatusNotFound, "There is no such session", inventory.Say("there is no session %s any more", id))
		return
	}
	s.log.Info("a session was ended", "cid", id)
	s.answer(w, http.StatusOK, inventory.EndedMailSessions{Ended: 1})
}

// endSessions ends those of some: ending all there are is what a restart is for.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) {
	q, err := inventory.ParseMailSessionQuery(r.URL.Query())
	if err == nil && q.Everybody() {
		err = inventory.Errorf(inventory.Invalid, "name the account, or the addresses or domains, whose sessions shall end")
	}
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, "No session was ended", inventory.Say("%s", err))
		return
	}
	ended := s.node.EndSessions(q)
	s.log.Info("sessions were ended", "account", string(q.Account), "within", q.Within, "sessions", ended)
	s.answer(w, http.StatusOK, inventory.EndedMailSessions{Ended: ended})
}

func (s *Server) mailboxes(w http.ResponseWriter, r *http.Request) {
	all, err := s.node.Mailboxes(r.Context(), inventory.ID(r.PathValue("id")))
	if err != nil {
		s.log.Error("the mailboxes of an account were not read", "account", r.PathValue("id"), "error", err)
		s.refuse(w, http.StatusInternalServerError, "The mailboxes were not read", inventory.Say("the mailboxes of the account cannot be read; the mailnode's log says why"))
		return
	}
	s.answer(w, http.StatusOK, all)
}
