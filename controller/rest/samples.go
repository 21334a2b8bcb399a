package rest

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailfleet/controller/api"
	"mailfleet/controller/auth"
	"mailfleet/controller/metrics"
	"mailfleet/inventory"
)

// What a question for samples means when it does not say.
const (
	defaultRange = time.Hour
	defaultSteps = 300
	minStep      = time.Second
)

func (s *Server) sampleRoutes() {
	add(s, operation{"list-samples", http.MethodGet, "/samples", "The newest reading of each series of the fleet", auth.Samples, auth.Read, 0,
		"Of servers in the fleet, none older than a day."}, s.latest)
	add(s, operation{"get-server-samples", http.MethodGet, "/servers/{id}/samples", "A server's samples over time", auth.Samples, auth.Read, 0,
		"Without a metric the answer is the names of those there are."}, s.serverSamples)
}

// Metrics is the input that chooses metrics.
type Metrics struct {
	Metric []string `query:"metric,explode" maxItems:"200" doc:"Repeatable, or separated by commas"`
}

func (m Metrics) names() []string {
	var names []string
	for _, some := range m.Metric {
		for name := range strings.SplitSeq(some, ",") {
			if name = strings.TrimSpace(name); name != "" {
				names = append(names, name)
			}
		}
	}
	return names
}

type latestInput struct {
	Metrics
	Server string `query:"server" doc:"Id or name"`
}

type latestOutput struct {
	Body api.Page[api.Reading]
}

func (s *Server) latest(ctx context.Context, in *latestInput) (*latestOutput, error) {
	selector := metrics.Selector{Metrics: in.names()}
	if in.Server != "" {
		server, err := s.showServer(ctx, in.Server)
		if err != nil {
			return nil, err
		}
		selector.Server = server.Name
	}
	inFleet := map[string]bool{}
	err := s.Store.View(ctx, func(tx inventory.Tx) error {
		servers, _, err := tx.Servers().List(inventory.Query{Where: map[string][]string{"state": present}})
		for _, server := range servers {
			inFleet[server.Name] = true
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	series, err := s.Samples.Latest(ctx, selector)
	if err != nil {
		return nil, err
	}
	out := &latestOutput{api.Page[api.Reading]{Items: []api.Reading{}}}
	for _, one := range series {
		name := one.Tags[metrics.ServerTag]
		if !inFleet[name] || len(one.Points) == 0 {
			continue
		}
		newest := one.Points[len(one.Points)-1]
		tags := make(map[string]string, len(one.Tags))
		for k, v := range one.Tags {
			if k != metrics.ServerTag {
				tags[k] = v
			}
		}
		out.Body.Items = append(out.Body.Items, api.Reading{
			Server: name, Metric: one.Metric, Tags: tags, Time: newest.Time.UTC(), Value: newest.Value,
		})
	}
	return out, nil
}

type samplesInput struct {
	Named
	Metrics
	From      string `query:"from" doc:"RFC 3339, unix seconds, or -1h for an hour ago (the default)"`
	To        string `query:"to" doc:"As from; default now"`
	Step      Span   `query:"step" doc:"One point for each; 0s: samples as they were taken; default a 300th of the range"`
	Aggregate string `query:"aggregate" enum:"avg,min,max,sum,last,rate" default:"avg" doc:"What stands for the samples of a step"`
}

type samplesOutput struct {
	Body api.Samples
}

func (s *Server) serverSamples(ctx context.Context, in *samplesInput) (*samplesOutput, error) {
	server, err := s.showServer(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	q, err := in.query(server.Name, time.Now())
	if err != nil {
		return nil, err
	}
	out := &samplesOutput{api.Samples{
		Metrics: []string{}, From: q.From.UTC(), To: q.To.UTC(), Step: q.Step.Seconds(), Series: []api.Series{},
	}}
	if len(q.Metrics) == 0 {
		names, err := s.Samples.Names(ctx, server.Name)
		out.Body.Metrics = append(out.Body.Metrics, names...)
		return out, err
	}
	out.Body.Metrics = q.Metrics
	found, err := s.Samples.Range(ctx, q)
	if err != nil {
		return nil, err
	}
	for _, series := range found {
		out.Body.Series = append(out.Body.Series, showSeries(series))
	}
	return out, nil
}

func showSeries(series metrics.Series) api.Series {
	shown := api.Series{Metric: series.Metric, Tags: series.Tags, Points: make([][2]float64, 0, len(series.Points))}
	for _, p := range series.Points {
		if math.IsNaN(p.Value) || math.IsInf(p.Value, 0) {
			continue // a sum can overflow; JSON has no infinity
		}
		shown.Points = append(shown.Points, [2]float64{float64(p.Time.UnixMilli()) / 1000, p.Value})
	}
	return shown
}

func (in *samplesInput) query(server string, now time.Time) (metrics.Query, error) {
	q := metrics.Query{Selector: metrics.Selector{Server: server, Metrics: in.names()}, Aggregate: in.Aggregate, To: now}
	var err error
	if in.To != "" {
		if q.To, err = parseMoment("to", in.To, now); err != nil {
			return q, err
		}
	}
	q.From = q.To.Add(-defaultRange)
	if in.From != "" {
		if q.From, err = parseMoment("from", in.From, now); err != nil {
			return q, err
		}
	}
	if !q.To.After(q.From) {
		return q, inventory.FieldErrorf("from", "from is not before to")
	}
	q.Step = in.Step.Duration
	if !in.Step.set {
		q.Step = max(minStep, (q.To.Sub(q.From)/defaultSteps + time.Second - 1).Truncate(time.Second))
	}
	return q, nil
}

// parseMoment reads RFC 3339, unix seconds, or a duration before now: -1h.
func parseMoment(field, text string, now time.Time) (time.Time, error) {
	if text == "now" {
		return now, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return inReach(field, text, t)
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(seconds) < 1e11 {
		return inReach(field, text, time.UnixMilli(int64(seconds*1000)))
	}
	if d, ok := parseAge(text); ok {
		return inReach(field, text, now.Add(-d))
	}
	return time.Time{}, inventory.FieldErrorf(field, "%.40q is not a time: write RFC 3339, unix seconds, or -1h for an hour ago", text)
}

// parseAge reads how long ago: a Go duration, or days as in -7d.
func parseAge(text string) (time.Duration, bool) {
	age, ok := strings.CutPrefix(text, "-")
	if !ok {
		return 0, false
	}
	if days, ok := strings.CutSuffix(age, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		return time.Duration(n * 24 * float64(time.Hour)), err == nil && n >= 0 && n < 1e5
	}
	d, err := time.ParseDuration(age)
	return d, err == nil && d >= 0
}

// inReach keeps times where durations between them do not overflow.
func inReach(field, text string, t time.Time) (time.Time, error) {
	if t.Year() < 1970 || t.Year() > 2200 {
		return time.Time{}, inventory.FieldErrorf(field, "%.40q is too far away", text)
	}
	return t, nil
}
