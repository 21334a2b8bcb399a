package store

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

func TestManyReadsWhatOneReads(t *testing.T) {
	s := openMem(t)
	queue := s.Table("queue")
	texts := map[string]string{"a": "short\r\n", "b": strings.Repeat("q", chunkSize+1), "d": ""}
	for key, text := range texts {
		staged, err := s.Stage(t.Context(), strings.NewReader(text), int64(len(text)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Update(t.Context(), staged, func(tx *Tx) error {
			_, err := tx.Hold(queue, []byte(key), staged)
			return errors.Join(err, tx.Set(queue, []byte(key), []byte("row "+key)))
		}); err != nil {
			t.Fatal(err)
		}
		staged.Close()
	}
	many, err := s.Many()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "c", "d", "e", "a"} { // in order, and back again
		row, err := many.Row(queue, []byte(key))
		want, wantErr := queue.Peek([]byte(key))
		if !bytes.Equal(row, want) || (row == nil) != (want == nil) || err != nil || wantErr != nil {
			t.Errorf("row %s is %q, %v; want %q", key, row, err, want)
		}
		h, err := many.Held(queue, []byte(key))
		if text, held := texts[key]; !held {
			if !errors.Is(err, ErrNoMessage) {
				t.Errorf("under %s there is %+v, %v", key, h, err)
			}
		} else if got, bodyErr := many.Body(h, []byte("before ")); string(got) != "before "+text || err != nil || bodyErr != nil {
			t.Errorf("under %s there are %d bytes, %v, %v", key, len(got), err, bodyErr)
		}
	}
	h, err := many.Held(queue, []byte("b"))
	if err != nil {
		t.Fatal(err)
	}
	if err := many.Close(); err != nil {
		t.Fatal(err)
	}
	// It is released as by one who has to look it up.
	if err := s.Update(t.Context(), nil, func(tx *Tx) error {
		return errors.Join(tx.ReleaseHeld(queue, []byte("b"), h), tx.Delete(queue, []byte("b")))
	}); err != nil {
		t.Fatal(err)
	}
	if many, err = s.Many(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = many.Close() }()
	if _, err := many.Body(h, nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("a body that has gone: %v", err)
	}
	if _, err := many.Held(queue, []byte("b")); !errors.Is(err, ErrNoMessage) {
		t.Errorf("what was released: %v", err)
	}
	sound(t, s)
	sameReplayed(t, s)
}
