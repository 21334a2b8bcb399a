package push

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"mailfleet/agent/collect"
)

// serverTag names the server on every line.
const serverTag = "server"

// encode writes samples as line protocol with nanosecond times; every field is
// a float, so that no series ever changes its type. What cannot be said in line
// protocol (a mount point with a control character) is left out and is the
// error; the rest is there all the same.
func encode(server string, t time.Time, samples []collect.Sample) (lines string, err error) {
	var e lineprotocol.Encoder
	for _, s := range samples {
		if len(s.Fields) == 0 {
			continue
		}
		tags := maps.Clone(s.Tags)
		if tags == nil {
			tags = make(map[string]string, 1)
		}
		tags[serverTag] = server
		e.StartLine(s.Measurement)
		for _, name := range slices.Sorted(maps.Keys(tags)) {
			e.AddTag(name, tags[name])
		}
		for _, name := range slices.Sorted(maps.Keys(s.Fields)) {
			if v, ok := lineprotocol.FloatValue(s.Fields[name]); ok {
				e.AddField(name, v)
			}
		}
		e.EndLine(t)
	}
	if e.Err() != nil {
		err = fmt.Errorf("a sample cannot be sent: %w", e.Err())
	}
	return string(e.Bytes()), err
}
