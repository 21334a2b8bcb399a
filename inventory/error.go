package inventory

import (
	"errors"
	"fmt"
)

// Code classifies an error for the faces: each maps it to its own protocol in one file.
type Code string

// The codes. An error without one is Internal.
const (
	Invalid      Code = "invalid"      // the request is wrong; changing it helps
	NotFound     Code = "not_found"    // the thing named does not exist
	Conflict     Code = "conflict"     // it clashes with what exists
	Stale        Code = "stale"        // the version given is not the current one
	Unauthorized Code = "unauthorized" // who are you?
	Forbidden    Code = "forbidden"    // you may not
	Unavailable  Code = "unavailable"  // try again later
	TooMany      Code = "too_many"     // slow down
	TooLarge     Code = "too_large"    // above a limit
	Internal     Code = "internal"     // our fault
)

// Error is an error a person may read: a code and one clear sentence, with the
// cause behind it for the log.
type Error struct {
	Code    Code
	Message string   // one sentence: what is wrong and where; never a secret
	Said    Sentence // the same, for another language
	Field   string   // the request's field at fault, dotted; may be empty
	Err     error    // the cause; never shown to a client
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Message + ": " + e.Err.Error()
	}
	return e.Message
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error without a cause.
func Errorf(code Code, format string, args ...any) *Error {
	return Wrap(code, nil, format, args...)
}

// Wrap makes an Error with a cause: clients read the sentence, the log both.
func Wrap(code Code, err error, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Said: Say(format, args...), Err: err}
}

// FieldErrorf makes an Invalid error about one field of a request.
func FieldErrorf(field, format string, args ...any) *Error {
	e := Errorf(Invalid, format, args...)
	e.Field = field
	return e
}

// CodeOf returns the code of the first Error in err's chain, Internal when there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return Internal
}

// Is reports whether err carries code.
func Is(err error, code Code) bool { return err != nil && CodeOf(err) == code }
