package api

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ConfigError is a configuration file that cannot be used. It reads
// "file:line:column: problem", without line and column when the file could not
// be read at all.
type ConfigError struct {
	File         string
	Line, Column int // from 1; 0 when there is no place to name
	Problem      string
}

func (e *ConfigError) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("%s: %s", e.File, e.Problem)
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

// maxConfigBytes bounds a configuration file: about four million accounts.
const maxConfigBytes = 1 << 30

// LoadConfig reads, checks and completes (with defaults) the configuration file
// at path and checks that the files it names can be used. Its errors are of type
// *ConfigError.
func LoadConfig(path string) (*Config, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, &ConfigError{File: path, Problem: "cannot read the configuration: " + reason(err)}
	}
	c, err := ParseConfig(path, data)
	if err != nil || c.TLS.Cert == "" {
		return c, err
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
		return nil, faultAt(path, data, locate(data, "tls.cert"), "tls: the certificate cannot be used: "+err.Error())
	}
	return c, nil
}

func faultAt(file string, data []byte, offset int64, problem string) *ConfigError {
	line, column := position(data, offset)
	return &ConfigError{File: file, Line: line, Column: column, Problem: problem}
}

// ParseConfig is LoadConfig for a file already read; name stands for its path in
// errors. It looks at no other file.
func ParseConfig(name string, data []byte) (*Config, error) {
	fail := func(offset int64, problem string) (*Config, error) {
		return nil, faultAt(name, data, offset, problem)
	}
	s := newScanner(data)
	if err := s.document(); err != nil {
		return fail(err.offset, err.problem)
	}
	var c Config
	if err := json.Unmarshal(data, &c); err != nil {
		if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fail(bad.Offset, fmt.Sprintf("%s cannot be %s", bad.Field, bad.Value))
		}
		return fail(0, err.Error())
	}
	if err := c.Validate(); err != nil {
		bad, ok := errors.AsType[*FieldError](err)
		if !ok {
			return fail(0, err.Error())
		}
		return fail(locate(data, bad.Field), bad.Error())
	}
	c.Limits = c.Limits.withDefaults()
	return &c, nil
}

func readFile(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if len(data) > maxConfigBytes {
		err = fmt.Errorf("it is larger than %d bytes", maxConfigBytes)
	}
	return data, err
}

// reason is the cause of a file error without the path, which the sentence already names.
func reason(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err.Error()
	}
	return err.Error()
}

// position turns a byte offset into line and column, both from 1.
func position(data []byte, offset int64) (line, column int) {
	before := data[:min(max(offset, 0), int64(len(data)))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - (bytes.LastIndexByte(before, '\n') + 1) + 1
}
