package metrics

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxBody is the size of a request's body, as sent and as unpacked.
const maxBody = 10 << 20

var errEncoding = errors.New("the content encoding is neither gzip nor identity")

// readBody reads all of a body, unpacked. It returns ErrTooLarge, errEncoding,
// or what is wrong with the body.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, errBodySize()
	}
	var source io.Reader = http.MaxBytesReader(w, r.Body, maxBody)
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		packed, err := gzip.NewReader(source)
		if err != nil {
			return nil, bodyError(err)
		}
		source = packed
	default:
		return nil, errEncoding
	}
	var body bytes.Buffer
	n, err := body.ReadFrom(io.LimitReader(source, maxBody+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if n > maxBody {
		return nil, errBodySize()
	}
	return body.Bytes(), nil
}

func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errBodySize()
	}
	return fmt.Errorf("the body cannot be read: %w", err)
}

func errBodySize() error {
	return fmt.Errorf("%w: the body is larger than %d bytes, send it in parts", ErrTooLarge, maxBody)
}
