// Package collect takes the samples of a server that MISSION C4 names: load,
// CPU, memory, swap, disks and network, through gopsutil, and those of other
// sources it is given, such as a mailnode's counters.
//
// The agent's watch, push, steward and app import it.
package collect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// sourceTimeout is how long one source may take.
const sourceTimeout = 5 * time.Second

// Sample is a group of figures taken together. Bytes are in bytes, shares in
// percent; the figures of net are counters since boot.
type Sample struct {
	Measurement string             // load, cpu, mem, swap, disk, net
	Tags        map[string]string  // device and mount, or interface; nil where there is one of it
	Fields      map[string]float64 // finite
}

// Source gives samples of one kind. One goroutine calls it at a time.
type Source interface {
	Name() string // as errors call it
	Collect(ctx context.Context) ([]Sample, error)
}

// Collector takes samples of the server. CPU shares are of the time since its
// previous collection, so each user has its own. It is not safe for concurrent use.
type Collector struct {
	own   []figures
	other []Source
}

// figures is a source of the server's own figures.
type figures struct {
	Source
	metrics []string // how the names of its readings begin
}

// New makes a Collector of the server's own figures and those of more sources.
// Its first collection may wait for half a second, so that there is a stretch
// of CPU time to tell the shares of.
func New(more ...Source) *Collector {
	return &Collector{other: more, own: []figures{
		{function{"load", loadSamples}, []string{"load_load"}},
		{function{"processes", processSamples}, []string{"load_processes"}},
		{newCPUSource(), []string{"cpu_"}},
		{function{"memory", memorySamples}, []string{"mem_", "swap_"}},
		{function{"disk", diskSamples}, []string{"disk_"}},
		{function{"net", netSamples}, []string{"net_"}},
	}}
}

// Collect asks every source. The error tells of those that failed; the samples
// of the others are there all the same.
func (c *Collector) Collect(ctx context.Context) ([]Sample, error) {
	return c.ask(ctx, func(figures) bool { return true })
}

// CollectFor is Collect without those of the server's own figures that none of
// the metrics needs: some are dear to take often.
func (c *Collector) CollectFor(ctx context.Context, metrics []string) ([]Sample, error) {
	return c.ask(ctx, func(f figures) bool {
		return slices.ContainsFunc(metrics, func(metric string) bool {
			return slices.ContainsFunc(f.metrics, func(begin string) bool { return strings.HasPrefix(metric, begin) })
		})
	})
}

func (c *Collector) ask(ctx context.Context, wanted func(figures) bool) ([]Sample, error) {
	var sources []Source
	for _, f := range c.own {
		if wanted(f) {
			sources = append(sources, f.Source)
		}
	}
	var all []Sample
	var errs []error
	for _, s := range append(sources, c.other...) {
		samples, err := collectOne(ctx, s)
		if err != nil {
			errs = append(errs, fmt.Errorf("collect %s: %w", s.Name(), err))
		}
		all = append(all, samples...)
	}
	return all, errors.Join(errs...)
}

func collectOne(ctx context.Context, s Source) ([]Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, sourceTimeout)
	defer cancel()
	samples, err := s.Collect(ctx)
	for _, sample := range samples {
		for field, v := range sample.Fields {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				delete(sample.Fields, field)
			}
		}
	}
	return samples, err
}

// function is a source without a memory.
type function struct {
	name    string
	collect func(context.Context) ([]Sample, error)
}

func (f function) Name() string                                  { return f.name }
func (f function) Collect(ctx context.Context) ([]Sample, error) { return f.collect(ctx) }

// Reading is one figure under the name alert rules know it by.
type Reading struct {
	Metric string            // measurement_field, e.g. mem_used_percent
	Tags   map[string]string // the sample's own: not to be changed
	Value  float64
}

// Readings returns every figure of samples as a reading.
func Readings(samples []Sample) []Reading {
	var readings []Reading
	for _, s := range samples {
		for field, v := range s.Fields {
			readings = append(readings, Reading{Metric: s.Measurement + "_" + field, Tags: s.Tags, Value: v})
		}
	}
	return readings
}
