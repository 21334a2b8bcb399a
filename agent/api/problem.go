package api

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"mailfleet/inventory"
)

// ProblemType is the content type of a Problem.
const ProblemType = "application/problem+json"

// Problem is why an agent, or the mailnode that it handed a question on to, gives no
// other answer (RFC 9457).
type Problem struct {
	Title  string              `json:"title"`
	Status int                 `json:"status"` // HTTP status code
	Detail string              `json:"detail"` // one sentence
	Said   *inventory.Sentence `json:"said,omitempty"`
}

// NewProblem makes a sentence a problem.
func NewProblem(status int, why inventory.Sentence) Problem {
	return Problem{Title: http.StatusText(status), Status: status, Detail: why.String(), Said: why.Beside()}
}

// codes are what the statuses of problems mean; any other is Internal.
var codes = map[int]inventory.Code{
	http.StatusBadRequest:          inventory.Invalid,
	http.StatusNotFound:            inventory.NotFound,
	http.StatusUnprocessableEntity: inventory.Invalid,
	http.StatusServiceUnavailable:  inventory.Unavailable,
}

// StatusOf is the status that says a code.
func StatusOf(code inventory.Code) int {
	switch code {
	case inventory.NotFound:
		return http.StatusNotFound
	case inventory.Invalid:
		return http.StatusUnprocessableEntity
	case inventory.Unavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

// maxProblem bounds what is read of a problem.
const maxProblem = 1 << 20

// problem is the error that an answer tells of. Agents of earlier releases refuse in a
// line of plain text, which is then its sentence; what has none does not come from an
// agent's own hand.
func problem(res *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	var p Problem
	if json.Unmarshal(text, &p) != nil {
		p = Problem{}
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			p.Detail = strings.TrimSpace(string(text))
		}
	}
	code, known := codes[res.StatusCode]
	if p.Detail == "" || strings.HasPrefix(p.Detail, "404 ") { // as net/http says of a path that it does not know
		return inventory.Errorf(inventory.Internal, "the agent answered %s", res.Status)
	}
	if !known {
		code = inventory.Internal
	}
	return inventory.Errorf(code, "%s", inventory.Read(p.Detail, p.Said))
}
