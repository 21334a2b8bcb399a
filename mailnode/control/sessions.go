package control

import (
	"net/http"

	"mailfleet/inventory"
)

func (s *Server) sessions(w http.ResponseWriter, r *http.Request) {
	q, err := inventory.ParseMailSessionQuery(r.URL.Query())
	if err != nil {
		s.refuse(w, http.StatusUnprocessableEntity, "The sessions were not listed", err.Error())
		return
	}
	s.answer(w, http.StatusOK, s.node.Sessions(q))
}

func (s *Server) endSession(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	if !s.node.EndSession(id) {
		s.refuse(w, http.StatusNotFound, "There is no such session", "there is no session "+id+" any more")
		return
	}
	s.log.Info("a session was ended", "cid", id)
	s.answer(w, http.StatusOK, inventory.EndedMailSessions{Ended: 1})
}

// endSessions ends those of one account: ending all there are is what a restart is for.
func (s *Server) endSessions(w http.ResponseWriter, r *http.Request) {
	account := inventory.ID(r.URL.Query().Get("account"))
	if account == "" {
		s.refuse(w, http.StatusUnprocessableEntity, "No session was ended", "name the account whose sessions shall end")
		return
	}
	ended := s.node.EndSessions(account)
	s.log.Info("an account's sessions were ended", "account", string(account), "sessions", ended)
	s.answer(w, http.StatusOK, inventory.EndedMailSessions{Ended: ended})
}
