package metrics

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/influxdata/line-protocol/v2/lineprotocol"
)

// Limits of one body of line protocol.
const (
	maxLines   = 100_000
	maxLine    = 128 << 10 // bytes
	maxSamples = 500_000
	maxReason  = 200 // bytes of a LineError's Reason
)

// LineError says what is wrong with one line; lines count from 1.
type LineError struct {
	Line   int
	Reason string
}

// Batch is what a body of line protocol holds.
type Batch struct {
	Samples []Sample
	Lines   []int       // Lines[i] is the line of Samples[i]
	Bad     []LineError // lines refused as a whole, in order
	Skipped []LineError // string fields, which a sample store has no place for, in order
}

// ParseLineProtocol reads InfluxDB line protocol. Each number or truth value
// (as 1 or 0) becomes a sample named measurement_field; a line without a
// timestamp is of the time now. precision is ns, us, ms or s, empty for ns.
// One bad line does not spoil the others. It returns ErrInvalid for an unknown
// precision and ErrTooLarge for more lines or fields than one body may have.
func ParseLineProtocol(body []byte, precision string, now time.Time) (Batch, error) {
	unit, err := parsePrecision(precision)
	if err != nil {
		return Batch{}, err
	}
	var batch Batch
	number := 1
	for lines := 0; len(body) > 0; lines++ {
		line, rest, newlines := cutLine(body)
		if lines == maxLines {
			return Batch{}, fmt.Errorf("%w: more than %d lines, send them in parts", ErrTooLarge, maxLines)
		}
		batch.parseLine(line, number, unit, now)
		if len(batch.Samples) > maxSamples {
			return Batch{}, fmt.Errorf("%w: more than %d fields, send them in parts", ErrTooLarge, maxSamples)
		}
		body, number = rest, number+newlines
	}
	return batch, nil
}

func parsePrecision(precision string) (lineprotocol.Precision, error) {
	switch precision {
	case "", "ns":
		return lineprotocol.Nanosecond, nil
	case "us":
		return lineprotocol.Microsecond, nil
	case "ms":
		return lineprotocol.Millisecond, nil
	case "s":
		return lineprotocol.Second, nil
	}
	return 0, fmt.Errorf("%w: precision %.20q is not one of ns, us, ms, s", ErrInvalid, precision)
}

// parseLine adds the samples of one line, or the reason to refuse it.
func (b *Batch) parseLine(line []byte, number int, unit lineprotocol.Precision, now time.Time) {
	if len(line) > maxLine {
		b.Bad = append(b.Bad, LineError{number, fmt.Sprintf("the line is longer than %d bytes", maxLine)})
		return
	}
	decoder := lineprotocol.NewDecoderWithBytes(line)
	if !decoder.Next() {
		return // empty, or a comment
	}
	kept, skipped := len(b.Samples), len(b.Skipped)
	if err := b.decode(decoder, number, unit, now); err != nil {
		clear(b.Samples[kept:])
		b.Samples, b.Skipped = b.Samples[:kept], b.Skipped[:skipped]
		b.Bad = append(b.Bad, LineError{number, reason(err)})
		return
	}
	for range len(b.Samples) - kept {
		b.Lines = append(b.Lines, number)
	}
}

func (b *Batch) decode(decoder *lineprotocol.Decoder, number int, unit lineprotocol.Precision, now time.Time) error {
	measurement, err := decoder.Measurement()
	if err != nil {
		return err
	}
	prefix := string(measurement) + "_"
	tags, err := decodeTags(decoder)
	if err != nil {
		return err
	}
	first := len(b.Samples)
	for {
		key, field, err := decoder.NextField()
		if err != nil {
			return err
		}
		if key == nil {
			break
		}
		value, ok := number64(field)
		if !ok {
			b.Skipped = append(b.Skipped, LineError{number, reason(fmt.Errorf("field %q is text", key))})
			continue
		}
		b.Samples = append(b.Samples, Sample{Metric: prefix + string(key), Tags: tags, Value: value})
	}
	at, err := decoder.Time(unit, now)
	if err != nil {
		return err
	}
	for i := range b.Samples[first:] {
		sample := &b.Samples[first+i]
		sample.Time = at
		if err := sample.Validate(); err != nil {
			return err
		}
	}
	return nil
}

func decodeTags(decoder *lineprotocol.Decoder) (map[string]string, error) {
	tags := make(map[string]string)
	for {
		key, value, err := decoder.NextTag()
		if err != nil {
			return nil, err
		}
		if key == nil {
			return tags, nil
		}
		if _, twice := tags[string(key)]; twice {
			return nil, fmt.Errorf("tag %q is given twice", key)
		}
		tags[string(key)] = string(value)
	}
}

// number64 is the value of a field as a number; text has none.
func number64(field lineprotocol.Value) (value float64, ok bool) {
	switch field.Kind() {
	case lineprotocol.Float:
		return field.FloatV(), true
	case lineprotocol.Int:
		return float64(field.IntV()), true
	case lineprotocol.Uint:
		return float64(field.UintV()), true
	case lineprotocol.Bool:
		if field.BoolV() {
			return 1, true
		}
		return 0, true
	default:
		return math.NaN(), false
	}
}

// reason is an error in few words: the decoder counts lines within what it was
// given, and quotes all of an offending token, which may be the whole body.
func reason(err error) string {
	if syntax, ok := errors.AsType[*lineprotocol.DecodeError](err); ok {
		err = syntax.Err
	}
	text := strings.ToValidUTF8(err.Error(), "")
	if len(text) <= maxReason {
		return text
	}
	end := maxReason
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
