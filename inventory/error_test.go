package inventory

import (
	"errors"
	"fmt"
	"io"
	"testing"
)

func TestErrorsKeepTheirCodeAndCause(t *testing.T) {
	err := fmt.Errorf("join: %w", Wrap(Unavailable, io.EOF, "the disk is full"))
	if !Is(err, Unavailable) || Is(err, Internal) || !errors.Is(err, io.EOF) || err.Error() != "join: the disk is full: EOF" {
		t.Errorf("%v has code %s", err, CodeOf(err))
	}
	if CodeOf(io.EOF) != Internal || Is(nil, Internal) {
		t.Error("an error without a code is Internal, no error has none")
	}
	if e := FieldErrorf("name", "no %d", 1); e.Code != Invalid || e.Field != "name" || e.Error() != "no 1" {
		t.Errorf("%+v", e)
	}
}
